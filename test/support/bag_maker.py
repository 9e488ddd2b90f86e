"""Bags of a synthetic camera, for tests: coloured squares before a wall, as `ros.probe` has."""

from __future__ import annotations

from pathlib import Path

from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from support.ros.probe import CAMERA, DEPTH, FRAME_ID, INFO, RGB, scene

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.bags.definitions import type_name_of
from sam6d_ros.apps.ros.bags.reader import BagReader
from sam6d_ros.apps.ros.bags.writer import BagWriter

STORAGES = ("mcap", "sqlite3")
FILES = {"mcap": "bag.mcap", "sqlite3": "bag.db3"}  # of a bag in a folder "bag"
START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 200_000_000
DELAY_NS = 5_000_000  # from a frame's stamp to its receipt
KINDS = {RGB: Image, DEPTH: Image, INFO: CameraInfo}
BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
RED, GREEN = (255, 0, 0), (0, 255, 0)


def stamp_ns(index):
    return START_NS + index * PERIOD_NS


def camera_messages(index, colours=(RED, GREEN), depth_m=1.0, encoding="16UC1"):
    """(rgb, depth, camera_info) of the index-th frame."""
    rgb, depth = scene(colours, depth_m)
    header = conversions.header_from(stamp_ns(index), FRAME_ID)
    return [
        conversions.image_from_rgb(rgb, header),
        conversions.depth_image_from_metres(depth, header, encoding),
        conversions.camera_info_from_intrinsics(CAMERA, header),
    ]


def write_bag(
    path: Path, frames, storage="mcap", offers=(BEST_EFFORT,), names=None, kinds=None
) -> Path:
    """A bag of camera frames; ``names`` and ``kinds`` replace topic names and types."""
    names = names or {}
    with BagWriter(path, storage) as writer:
        for topic, kind in {**KINDS, **(kinds or {})}.items():
            writer.add_topic(names.get(topic, topic), type_name_of(kind), list(offers))
        for index, messages in enumerate(frames):
            for topic, message in zip(KINDS, messages, strict=True):
                writer.write(names.get(topic, topic), stamp_ns(index) + DELAY_NS, message)
    return path


def read(path):
    """The messages of a bag by topic, as (time, message)."""
    with BagReader(path) as bag:
        content = {topic.name: [] for topic in bag.topics}
        for recorded in bag.messages(bag.topics):
            content[recorded.topic.name].append((recorded.time_ns, recorded.message()))
    return content


def moving_frames(count=3):
    """Squares whose distance changes from frame to frame; the last frame shows one of them."""
    frames = [camera_messages(index, depth_m=1.0 + 0.1 * index) for index in range(count - 1)]
    return [*frames, camera_messages(count - 1, [GREEN])]
