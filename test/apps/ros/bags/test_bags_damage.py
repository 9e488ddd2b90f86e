"""What is no bag, or a damaged one, is refused with the reason; no damage ends in another error."""

from __future__ import annotations

import random
import shutil

import pytest
from std_msgs.msg import String
from support.bag_maker import FILES, STORAGES, camera_messages, write_bag

from sam6d_ros.apps.ros.bags.reader import BagReader
from sam6d_ros.apps.ros.bags.writer import BagWriter
from sam6d_ros.apps.ros.node.qos import LATCHED
from sam6d_ros.errors import InvalidBag, InvalidInput


def frames(count=2):
    return [camera_messages(index) for index in range(count)]


def no_bag(path):
    path.mkdir()


def text_file(path):
    path.write_text("hello")


def ros1_bag(path):
    path.write_bytes(b"#ROSBAG V2.0\n")


def broken_metadata(path):
    write_bag(path, frames())
    (path / "metadata.yaml").write_text("rosbag2_bagfile_information: {version: [")


def future_metadata(path):
    write_bag(path, frames())
    text = (path / "metadata.yaml").read_text()
    (path / "metadata.yaml").write_text(text.replace("version: 9", "version: 99"))


def missing_file(path):
    write_bag(path, frames())
    (path / "bag.mcap").unlink()


def unclosed_mcap(path):
    write_bag(path, frames())
    data = (path / "bag.mcap").read_bytes()
    (path / "bag.mcap").write_bytes(data[:-200])


def unclosed_sqlite(path):
    write_bag(path, frames(), "sqlite3")
    data = (path / "bag.db3").read_bytes()
    (path / "bag.db3").write_bytes(data[:1000])


def other_qos(path):
    """rosbags silently gives no message when the QoS of metadata.yaml is not the storage's."""
    write_bag(path, frames())
    text = (path / "metadata.yaml").read_text()
    (path / "metadata.yaml").write_text(text.replace("depth: 5", "depth: 6"))


def odd_metadata(old, new):
    def make(path):
        write_bag(path, frames())
        text = (path / "metadata.yaml").read_text()
        assert old in text
        (path / "metadata.yaml").write_text(text.replace(old, new))

    return make


def message_before_1970(path):
    with BagWriter(path, "sqlite3") as writer:
        writer.add_topic("/words", "std_msgs/msg/String", [LATCHED])
        writer.write("/words", -5, String())


@pytest.mark.parametrize(
    ("make", "name", "complaint"),
    [
        (lambda path: None, "bag", "does not exist"),
        (no_bag, "bag", "no metadata.yaml and 0 storage files.*reindex"),
        (text_file, "bag.txt", "no ROS 2 bag; expected a folder with metadata.yaml"),
        (text_file, "bag.mcap", "File magic is invalid"),
        (text_file, "bag.db3", "no readable ROS 2 bag"),
        (ros1_bag, "bag.bag", "ROS 1 bag; convert it: rosbags-convert"),
        (broken_metadata, "bag", "Could not load YAML"),
        (future_metadata, "bag", "version 99 not supported"),
        (missing_file, "bag", "files are missing"),
        (unclosed_mcap, "bag", "end magic is invalid.*mcap recover"),
        (unclosed_sqlite, "bag", "no readable ROS 2 bag"),
        (message_before_1970, "bag", "-5 ns, which is no time"),
        (odd_metadata("message_count: 2", "message_count: [2]"), "bag", "no readable ROS 2 bag"),
        (odd_metadata("depth: 5", "depth: five"), "bag", "expected whole numbers"),
        (odd_metadata("nanoseconds_since_epoch: 1", "nanoseconds_since_epoch: -1"), "bag", "1970"),
        (other_qos, "bag", "0 of 6 messages were found.*Give the .mcap"),
    ],
)
def test_what_is_no_bag_is_refused_with_the_reason(tmp_path, make, name, complaint):
    make(tmp_path / name)
    with pytest.raises(InvalidBag, match=complaint) as caught, BagReader(tmp_path / name) as bag:
        list(bag.messages(bag.topics))
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize("storage", STORAGES)
def test_no_damage_ends_in_another_error_than_ours(tmp_path, storage):
    """Bytes cut off, flipped and overwritten, also in metadata.yaml: read, or refused."""
    folder = write_bag(tmp_path / "bag", frames(1), storage)
    random_source = random.Random(7)
    outcomes = set()
    for number in range(150):
        copy = tmp_path / "damaged"
        shutil.copytree(folder, copy)
        name = "metadata.yaml" if number % 5 == 0 else FILES[storage]
        damage(copy / name, random_source)
        try:
            with BagReader(copy) as bag:
                for recorded in bag.messages(bag.topics):
                    recorded.message()
            outcomes.add("read")
        except InvalidInput:
            outcomes.add("refused")
        shutil.rmtree(copy)
    assert outcomes == {"read", "refused"}


def damage(path, random_source):
    data = bytearray(path.read_bytes())
    at = random_source.randrange(len(data))
    kind = random_source.randrange(3)
    if kind == 0:
        del data[at:]
    elif kind == 1:
        data[at] ^= 1 << random_source.randrange(8)
    else:
        data[at : at + 8] = random_source.randbytes(8)
    path.write_bytes(data)
