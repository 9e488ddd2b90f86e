"""Bags on disk: what is in them, and their messages in the order of time."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rclpy.serialization import deserialize_message
from rosbags.interfaces import Connection, MessageDefinitionFormat, Qos
from rosbags.rosbag2 import Reader

from sam6d_ros.apps.ros.bags.definitions import message_class
from sam6d_ros.apps.ros.bags.qos import check
from sam6d_ros.errors import InvalidBag, InvalidFrame

log = logging.getLogger(__name__)

METADATA = "metadata.yaml"
STORAGE_SUFFIXES = (".mcap", ".db3")
CDR = "cdr"
LATEST_NS = 2**31 * 1_000_000_000  # builtin_interfaces/Time has 31 bits of seconds
UNCLOSED = (
    "If its recording was cut off: `mcap recover FILE` for MCAP, `ros2 bag reindex DIR` for a "
    f"missing {METADATA}"
)


@dataclass(frozen=True)
class Topic:
    """One recorded topic.

    Attributes:
        type_name: ``package/msg/Type``.
        offers: QoS that each of its publishers offered; empty in old bags.
        definition: text of the type, or empty when the bag has none.
        rihs01: hash of the type, or empty.
    """

    name: str
    type_name: str
    count: int
    offers: tuple[Qos, ...]
    definition: str = ""
    rihs01: str = ""


@dataclass(frozen=True)
class Recorded:
    """One message as it lies in the bag: ``data`` in CDR, received at ``time_ns``."""

    topic: Topic
    time_ns: int
    data: bytes

    def message(self) -> Any:
        """The message.

        Raises:
            InvalidBag: its type is not installed here.
            InvalidFrame: the bytes are not of this type.
        """
        kind = message_class(self.topic.type_name)
        try:
            return deserialize_message(self.data, kind)
        # RMWError, which rclpy does not export, and what damaged text raises.
        except Exception as error:
            raise InvalidFrame(
                f"a message of {self.topic.name} cannot be read as {self.topic.type_name}; is the "
                "bag damaged, or was it recorded with another version of the type?"
            ) from error


class BagReader:
    """An open bag; use it in a ``with``.

    Args:
        path: folder with metadata.yaml, or one .mcap or .db3 file. Compressed bags (zstd) are
            read as well.

    Raises:
        InvalidBag: it is not there, not a ROS 2 bag, or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with _readable(path):
            self._reader = Reader(_storage_of(path))
            self._reader.open()
            self._connections: dict[Topic, list[Connection]] = {}
            for connection in self._reader.connections:
                self._add(connection)
            self.topics: Sequence[Topic] = tuple(self._connections)
            self.start_ns = _checked(self._reader.start_time) if self._reader.message_count else 0
            self.duration_ns = int(self._reader.duration)

    def _add(self, connection: Connection) -> None:
        """One more connection; those of the same topic and type become one topic."""
        if connection.ext.serialization_format != CDR:
            log.warning(
                "%s: topic %s is skipped: it is serialized as %r, expected %r",
                *(self.path, connection.topic, connection.ext.serialization_format, CDR),
            )
            return
        key = (connection.topic, connection.msgtype)
        same = [t for t in self._connections if (t.name, t.type_name) == key]
        before = self._connections.pop(same[0]) if same else []
        together = [*before, connection]
        is_text = connection.msgdef.format is not MessageDefinitionFormat.NONE
        topic = Topic(
            *key,
            count=sum(c.msgcount for c in together),
            offers=tuple(check(o) for c in together for o in c.ext.offered_qos_profiles),
            definition=connection.msgdef.data if is_text else "",
            rihs01=connection.digest,
        )
        self._connections[topic] = together

    def topic(self, name: str) -> Topic:
        """The topic of this name.

        Raises:
            InvalidBag: there is none, or two types have it.
        """
        found = [topic for topic in self.topics if topic.name == name]
        if len(found) == 1:
            return found[0]
        wrong = "has several types in it" if found else "is not in it"
        listed = ", ".join(f"{t.name} ({t.type_name})" for t in self.topics) or "no topic"
        raise InvalidBag(f"{self.path}: the topic {name} {wrong}; the bag has {listed}")

    def messages(
        self,
        topics: Collection[Topic],
        start_ns: int | None = None,
        stop_ns: int | None = None,
    ) -> Iterator[Recorded]:
        """The messages of these topics by time, from ``start_ns`` to before ``stop_ns``.

        Raises:
            InvalidBag: the bag is damaged from here on.
        """
        wanted = [c for topic in topics for c in self._connections[topic]]
        if not wanted:
            return
        topic_of = {(t.name, t.type_name): t for t in topics}
        read = 0
        with _readable(self.path):
            for connection, time_ns, data in self._reader.messages(wanted, start_ns, stop_ns):
                read += 1
                topic = topic_of[connection.topic, connection.msgtype]
                yield Recorded(topic, _checked(time_ns), bytes(data))
        if (start_ns is None or start_ns <= self.start_ns) and stop_ns is None:
            self._check_count(read, sum(topic.count for topic in topics))

    def _check_count(self, read: int, listed: int) -> None:
        """Notice what rosbags leaves out without a word: topics whose QoS differs in both files."""
        if read >= listed:
            return
        problem = (
            f"{self.path}: {read} of {listed} messages were found; {METADATA} lists topics, QoS or "
            "counts that the storage files do not have. Give the .mcap or .db3 file itself"
        )
        if not read:
            raise InvalidBag(problem)
        log.warning("%s", problem)

    def __enter__(self) -> BagReader:
        return self

    def __exit__(self, *error: object) -> None:
        self._reader.close()


def _checked(time_ns: int) -> int:
    """A time that a stamp can hold."""
    if not 0 <= time_ns < LATEST_NS:
        raise ValueError(f"it has a message at {time_ns} ns, which is no time since 1970")
    return time_ns


def _storage_of(path: Path) -> Path:
    """What to open: the folder, or its only storage file when metadata.yaml is missing."""
    if not path.exists():
        raise InvalidBag(f"{path} does not exist; expected the folder of a ROS 2 bag")
    if path.is_file():
        if path.suffix == ".bag":
            raise InvalidBag(
                f"{path} is a ROS 1 bag; convert it: rosbags-convert --src {path.name} --dst OUT"
            )
        if path.name == METADATA:
            return path.parent
        if path.suffix not in STORAGE_SUFFIXES:
            raise InvalidBag(
                f"{path} is no ROS 2 bag; expected a folder with {METADATA}, or one of "
                f"{', '.join(STORAGE_SUFFIXES)}"
            )
        return path
    if (path / METADATA).is_file():
        return path
    files = sorted(p for p in path.iterdir() if p.suffix in STORAGE_SUFFIXES)
    if len(files) == 1:
        log.warning("%s has no %s; reading %s alone", path, METADATA, files[0].name)
        return files[0]
    raise InvalidBag(
        f"{path} has no {METADATA} and {len(files)} storage files; expected the folder of a "
        "ROS 2 bag. `ros2 bag reindex` writes it anew, or give one of the files"
    )


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what reading a bag raises into the error that names the bag."""
    try:
        yield
    except InvalidBag:
        raise
    # rosbags unpacks what the file says and checks little of it: damaged files end in errors of
    # every kind (struct, Unicode, assertions, zstd, SQLite, even memory).
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise InvalidBag(f"{path} is no readable ROS 2 bag: {reason}. {UNCLOSED}") from error
