"""Bags on disk with the messages of the installed ROS packages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rclpy.serialization import deserialize_message

from sam6d_ros.apps.ros.bags.definitions import message_class
from sam6d_ros.frames.bags import reader
from sam6d_ros.frames.bags.reader import Recorded, Topic

__all__ = ["BagReader", "Recorded", "Topic"]


class BagReader(reader.BagReader):
    """An open bag, whose messages are those of rclpy; see ``frames.bags.reader.BagReader``."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _decoded)


def _decoded(type_name: str, data: bytes) -> Any:
    return deserialize_message(data, message_class(type_name))
