"""Bags written as rosbag2 of Jazzy writes them (metadata version 9, CDR, MCAP or SQLite)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message
from rosbags.interfaces import Connection, Qos
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from sam6d_ros.apps.ros.bags.definitions import Definition, definition
from sam6d_ros.apps.ros.bags.qos import recorded
from sam6d_ros.apps.ros.bags.reader import Topic
from sam6d_ros.errors import InvalidBag

STORAGES = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}
# Since Jazzy: QoS by names (ros2/rosbag2#1476, bag_metadata.hpp); Jazzy and later read it.
METADATA_VERSION: Final = 9


class BagWriter:
    """A new bag; use it in a ``with``. It is complete once closed, also after an error.

    Args:
        path: folder to make; it must not exist.
        storage: "mcap" or "sqlite3".

    Raises:
        InvalidBag: the folder exists, or cannot be made.
    """

    def __init__(self, path: Path, storage: str) -> None:
        refuse_existing(path)
        self.path = path
        self.counts: dict[str, int] = {}
        self._connections: dict[str, Connection] = {}
        try:
            self._writer = Writer(path, version=METADATA_VERSION, storage_plugin=STORAGES[storage])
            self._writer.open()
        except (OSError, WriterError) as error:
            raise InvalidBag(f"{path} cannot be made: {error}") from error

    def add_topic(self, name: str, type_name: str, offers: Sequence[Qos | QoSProfile]) -> None:
        """Begin a topic of an installed type.

        Raises:
            InvalidBag: the type is not installed here, or the topic is there already.
        """
        self._add(name, type_name, definition(type_name), offers)

    def copy_topic(self, topic: Topic) -> None:
        """Begin a topic of another bag, with that bag's definition of its type.

        Raises:
            InvalidBag: neither the bag nor this machine defines the type.
        """
        self._add(topic.name, topic.type_name, definition_in(topic), topic.offers)

    def _add(
        self, name: str, type_name: str, about: Definition, offers: Sequence[Qos | QoSProfile]
    ) -> None:
        if name in self._connections:
            raise InvalidBag(f"the topic {name} is in {self.path} already")
        self._connections[name] = self._writer.add_connection(
            name,
            type_name,
            msgdef=about.text,
            rihs01=about.rihs01,
            offered_qos_profiles=[o if isinstance(o, Qos) else recorded(o) for o in offers],
        )
        self.counts[name] = 0

    def has_topic(self, name: str) -> bool:
        """Whether the topic was begun."""
        return name in self._connections

    def write(self, name: str, time_ns: int, message: Any) -> None:
        """Append a message of a topic that was begun."""
        self.write_raw(name, time_ns, serialize_message(message))

    def write_raw(self, name: str, time_ns: int, data: bytes) -> None:
        """Append a message that is serialized already."""
        self._writer.write(self._connections[name], time_ns, data)
        self.counts[name] += 1

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(self, *error: object) -> None:
        """Close, whatever happened: what was written is worth keeping."""
        self._writer.close()


def refuse_existing(path: Path) -> None:
    """Bags are not overwritten.

    Raises:
        InvalidBag: there is something at the path.
    """
    if path.exists():
        raise InvalidBag(f"{path} exists; name a new folder, bags are not overwritten")


def definition_in(topic: Topic) -> Definition:
    """Return the definition of a recorded topic's type: the bag's own, else the installed one.

    Raises:
        InvalidBag: there is neither.
    """
    if not topic.definition:
        return definition(topic.type_name)
    return Definition(topic.definition, topic.rihs01 or _hash_of(topic))


def _hash_of(topic: Topic) -> str:
    """The type hash made from the text in the bag: an .mcap file alone does not state it."""
    store = get_typestore(Stores.EMPTY)
    try:
        store.register(get_types_from_msg(topic.definition, topic.type_name))
        return str(store.hash_rihs01(topic.type_name))
    except Exception as error:  # the text comes from a file and may be anything
        raise InvalidBag(
            f"the definition of {topic.type_name} in the bag cannot be read: {error}"
        ) from error
