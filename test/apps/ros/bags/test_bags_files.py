"""Bags as files: what is written is read back, by us and by rosbags; damage has a clear error."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability, QosReliability
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from std_msgs.msg import String
from support.bag_maker import (
    BEST_EFFORT,
    DELAY_NS,
    FILES,
    KINDS,
    START_NS,
    STORAGES,
    camera_messages,
    stamp_ns,
    write_bag,
)
from support.ros.engine_double import models
from support.ros.probe import DEPTH, INFO, RGB
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.bags.definitions import definition, message_class, type_name_of
from sam6d_ros.apps.ros.bags.reader import BagReader
from sam6d_ros.apps.ros.bags.writer import BagWriter
from sam6d_ros.apps.ros.node.qos import LATCHED
from sam6d_ros.errors import InvalidBag
from sam6d_ros.msg import InstanceMaskArray
from sam6d_ros.types import Detection, Detections, PoseEstimate, PoseEstimates


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
