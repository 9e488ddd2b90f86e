"""Bags as files: what is written is read back, by us and by rosbags; damage has a clear error."""

from __future__ import annotations

import random
import shutil

import numpy as np
import pytest
import yaml
from bag_maker import BEST_EFFORT, DELAY_NS, KINDS, START_NS, camera_messages, stamp_ns, write_bag
from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from ros.engine_double import models
from ros.probe import DEPTH, INFO, RGB
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability, QosReliability
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.bags import qos
from sam6d_ros.apps.ros.bags.definitions import definition, message_class, type_name_of
from sam6d_ros.apps.ros.bags.reader import BagReader
from sam6d_ros.apps.ros.bags.recorder import Gaps
from sam6d_ros.apps.ros.bags.schedule import Schedule
from sam6d_ros.apps.ros.bags.writer import BagWriter
from sam6d_ros.apps.ros.vision_node import LATCHED
from sam6d_ros.errors import InvalidBag, InvalidInput
from sam6d_ros.msg import InstanceMaskArray
from sam6d_ros.types import Detection, Detections, PoseEstimate, PoseEstimates

STORAGES = ("mcap", "sqlite3")
FILES = {"mcap": "bag.mcap", "sqlite3": "bag.db3"}


def frames(count=2):
    return [camera_messages(index) for index in range(count)]


def result_messages():
    """A message of each kind that an offline run writes, with one instance."""
    mask = np.zeros((60, 80), bool)
    mask[20:30, 5:17] = True
    pose = PoseEstimate("red_box", 0.75, np.eye(4), 0.1 * np.eye(6), mask)
    poses = PoseEstimates((pose,), START_NS, "camera")
    header = conversions.header_from(START_NS, "camera")
    by_name = {model.name: model for model in models()}
    found = Detections((Detection("red_box", 0.75, mask, "", np.eye(4)[None]),))
    return {
        "/poses": conversions.detection_3d_array(poses, header, by_name),
        "/masks": conversions.masks_from_detections(found, header, mask.shape),
        "/tf": TFMessage(transforms=conversions.transforms_from_poses(poses, header)),
    }


@pytest.mark.parametrize("storage", STORAGES)
def test_messages_come_back_as_they_were_written(tmp_path, storage):
    sent = frames()
    with BagReader(write_bag(tmp_path / "bag", sent, storage)) as bag:
        assert {t.name: t.type_name for t in bag.topics} == {
            RGB: "sensor_msgs/msg/Image",
            DEPTH: "sensor_msgs/msg/Image",
            INFO: "sensor_msgs/msg/CameraInfo",
        }
        assert [t.count for t in bag.topics] == [2, 2, 2]
        read = list(bag.messages(bag.topics))
    assert [r.time_ns for r in read] == sorted(3 * [stamp_ns(i) + DELAY_NS for i in (0, 1)])
    for topic, *expected in zip(KINDS, *sent, strict=True):
        assert [r.message() for r in read if r.topic.name == topic] == expected


@pytest.mark.parametrize("storage", STORAGES)
def test_rosbags_reads_what_we_write_with_the_types_in_the_bag_alone(tmp_path, storage):
    """AnyReader also compares our type hashes with those it makes from our definitions."""
    messages = result_messages()
    with BagWriter(tmp_path / "bag", storage) as writer:
        for name, message in messages.items():
            writer.add_topic(name, type_name_of(type(message)), [LATCHED])
            writer.write(name, START_NS, message)
    with AnyReader([tmp_path / "bag"]) as reader:
        assert {c.digest for c in reader.connections} == {
            definition(type_name_of(type(m))).rihs01 for m in messages.values()
        }
        read = {c.topic: reader.deserialize(d, c.msgtype) for c, _, d in reader.messages()}
    poses, masks = messages["/poses"], messages["/masks"]
    assert read["/poses"].detections[0].id == "red_box_0"
    assert read["/poses"].detections[0].bbox.size.x == poses.detections[0].bbox.size.x
    np.testing.assert_array_equal(
        read["/poses"].detections[0].results[0].pose.covariance,
        poses.detections[0].results[0].pose.covariance,
    )
    assert bytes(read["/masks"].instances[0].mask) == bytes(masks.instances[0].mask)
    assert read["/masks"].instances[0].pose_hints[0].orientation.w == 1.0
    assert read["/tf"].transforms[0].child_frame_id == "red_box_0"


@pytest.mark.parametrize("storage", STORAGES)
def test_the_metadata_is_that_of_rosbag2_in_jazzy(tmp_path, storage):
    """Version 9, which names QoS policies: rosbag2 `bag_metadata.hpp`, ros2/rosbag2#1476."""
    write_bag(tmp_path / "bag", frames(), storage, [BEST_EFFORT, LATCHED])
    content = yaml.safe_load((tmp_path / "bag/metadata.yaml").read_text())
    info = content["rosbag2_bagfile_information"]
    assert (info["version"], info["storage_identifier"]) == (9, storage)
    assert info["relative_file_paths"] == [FILES[storage]]
    assert info["message_count"] == 6
    assert info["starting_time"]["nanoseconds_since_epoch"] == START_NS + DELAY_NS
    assert info["duration"]["nanoseconds"] == stamp_ns(1) - stamp_ns(0)
    rgb = info["topics_with_message_count"][0]
    about = rgb["topic_metadata"]
    assert (rgb["message_count"], about["name"], about["serialization_format"]) == (2, RGB, "cdr")
    assert about["type_description_hash"] == definition("sensor_msgs/msg/Image").rihs01
    unspecified = {"sec": 0, "nsec": 0}
    first, second = about["offered_qos_profiles"]
    assert first == {
        "history": "keep_last",
        "depth": 5,
        "reliability": "best_effort",
        "durability": "volatile",
        "deadline": unspecified,
        "lifespan": unspecified,
        "liveliness": "system_default",
        "liveliness_lease_duration": unspecified,
        "avoid_ros_namespace_conventions": False,
    }
    assert (second["reliability"], second["durability"]) == ("reliable", "transient_local")


@pytest.mark.parametrize("kind", [InstanceMaskArray, Detection3DArray, TFMessage, String])
def test_definitions_hold_every_type_that_a_type_is_made_of(kind):
    name = type_name_of(kind)
    about = definition(name)
    types = get_types_from_msg(about.text, name)
    store = get_typestore(Stores.EMPTY)
    store.register(types)
    assert store.hash_rihs01(name) == about.rihs01
    assert message_class(name) is kind


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("no_such_msgs/msg/Thing", "not installed here; install the package no_such_msgs"),
        ("std_msgs/msg/Strong", "std_msgs/msg/Strong is not installed"),
        ("std_srvs/srv/Trigger", "no message type"),
        ("../../etc/passwd", "no message type"),
        ("../msg/x", "no message type"),
        ("", "no message type"),
    ],
)
def test_unknown_types_are_named(name, complaint):
    for function in (definition, message_class):
        with pytest.raises(InvalidBag, match=complaint):
            function(name)


def test_recorded_qos_is_offered_again():
    latched = qos.offer_of([qos.recorded(LATCHED)] * 3)
    assert latched.durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert latched.reliability == ReliabilityPolicy.RELIABLE
    assert latched.depth == 30, "one publisher holds what three held"
    best_effort = qos.offer_of([qos.recorded(BEST_EFFORT)])
    assert best_effort.reliability == ReliabilityPolicy.BEST_EFFORT
    assert best_effort.durability != DurabilityPolicy.TRANSIENT_LOCAL
    assert not best_effort.deadline.nanoseconds
    timely = QoSProfile(depth=1, deadline=Duration(seconds=2))
    assert qos.offer_of([qos.recorded(timely)]).deadline == Duration(seconds=2)
    for mixed in ([], [qos.recorded(BEST_EFFORT), qos.recorded(LATCHED)]):
        assert qos.offer_of(mixed).reliability == ReliabilityPolicy.RELIABLE
        assert qos.offer_of(mixed).durability != DurabilityPolicy.TRANSIENT_LOCAL


def test_recording_asks_for_what_every_publisher_offers():
    reliable = QoSProfile(depth=1)
    assert qos.is_reliable(qos.request_for([reliable, LATCHED]))
    assert not qos.is_latched(qos.request_for([reliable, LATCHED]))
    assert qos.is_latched(qos.request_for([LATCHED, LATCHED]))
    assert not qos.is_reliable(qos.request_for([reliable, BEST_EFFORT]))
    assert qos.asks_less(qos.request_for([BEST_EFFORT]), qos.request_for([reliable]))
    assert not qos.asks_less(qos.request_for([reliable]), qos.request_for([BEST_EFFORT]))


def test_a_bag_time_schedule_follows_its_rate():
    now = [100.0]
    schedule = Schedule(5_000_000_000, rate=2.0, clock=lambda: now[0])
    now[0] += 7
    assert schedule.now_ns() == 5_000_000_000, "it stands until it is started"
    schedule.start()
    assert schedule.seconds_until(6_000_000_000) == pytest.approx(0.5)
    now[0] += 0.75
    assert schedule.now_ns() == 6_500_000_000
    assert schedule.seconds_until(6_000_000_000) == pytest.approx(-0.25)


def test_gaps_in_the_numbers_of_one_publisher_are_losses():
    gaps = Gaps()
    for number in (7, 8, 11, 1, 2, 4):
        gaps.saw(number)
    assert gaps.lost == 3, "9, 10 and 3; that the publisher began anew is none"
    gaps.several = True
    gaps.saw(900)
    gaps.several = False
    gaps.saw(950)
    gaps.saw(None)
    gaps.saw(1000)
    assert gaps.lost == 3


@pytest.mark.parametrize("mode", ["FILE", "MESSAGE", "STORAGE"])
@pytest.mark.parametrize("storage", STORAGES)
def test_compressed_bags_are_read(tmp_path, storage, mode):
    if (storage, mode) == ("sqlite3", "STORAGE"):
        mode = "MESSAGE"  # SQLite has no compression of its own
    about = definition("std_msgs/msg/String")
    plugin = StoragePlugin[storage.upper()]
    writer = Writer(tmp_path / "bag", version=8, storage_plugin=plugin)
    writer.set_compression(CompressionMode[mode], CompressionFormat.ZSTD)
    with writer:
        topic = writer.add_connection(
            "/words", "std_msgs/msg/String", msgdef=about.text, rihs01=about.rihs01
        )
        writer.write(topic, 5, b"\x00\x01\x00\x00\x03\x00\x00\x00hi\x00")
    with BagReader(tmp_path / "bag") as bag:
        assert [r.message() for r in bag.messages(bag.topics)] == [String(data="hi")]


@pytest.mark.parametrize("storage", STORAGES)
def test_a_bag_without_metadata_is_read_from_its_file(tmp_path, storage, caplog):
    folder = write_bag(tmp_path / "bag", frames(), storage)
    (folder / "metadata.yaml").unlink()
    for path in (folder, folder / FILES[storage]):
        with BagReader(path) as bag, BagWriter(tmp_path / f"copy_{path.name}", storage) as copy:
            assert len(list(bag.messages(bag.topics))) == 6
            for topic in bag.topics:
                copy.copy_topic(topic)  # with the type hash, which an .mcap alone does not have
    assert "no metadata.yaml; reading bag." in caplog.text


def test_topics_of_unknown_types_are_copied_but_not_read(tmp_path):
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg("int32 x", "their_msgs/msg/Thing"))
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        topic = writer.add_connection("/thing", "their_msgs/msg/Thing", typestore=store)
        writer.write(topic, 1, b"\x00\x01\x00\x00\x07\x00\x00\x00")
    with BagReader(tmp_path / "bag") as bag, BagWriter(tmp_path / "copy", "sqlite3") as copy:
        (recorded,) = bag.messages(bag.topics)
        with pytest.raises(InvalidBag, match="install the package their_msgs"):
            recorded.message()
        copy.copy_topic(recorded.topic)
        copy.write_raw("/thing", recorded.time_ns, recorded.data)
    with AnyReader([tmp_path / "copy"]) as reader:
        ((connection, _, data),) = reader.messages()
        assert reader.deserialize(data, connection.msgtype).x == 7


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


def test_an_existing_folder_is_not_overwritten(tmp_path):
    write_bag(tmp_path / "bag", frames(1))
    with pytest.raises(InvalidBag, match="bag exists; name a new folder"):
        BagWriter(tmp_path / "bag", "mcap")


@pytest.mark.parametrize("storage", STORAGES)
def test_a_bag_is_complete_though_its_writing_ended_in_an_error(tmp_path, storage):
    def write_and_break():
        with BagWriter(tmp_path / "bag", storage) as writer:
            writer.add_topic("/words", "std_msgs/msg/String", [LATCHED])
            writer.write("/words", 7, String(data="kept"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_break()
    with BagReader(tmp_path / "bag") as bag:
        assert [r.message().data for r in bag.messages(bag.topics)] == ["kept"]
        (offer,) = bag.topic("/words").offers
        assert offer.reliability is QosReliability.RELIABLE
        assert offer.durability is QosDurability.TRANSIENT_LOCAL


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
