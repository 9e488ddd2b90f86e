"""Bags on disk: their topics, and their messages in the order of time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rosbags.interfaces import (
    Connection,
    ConnectionExtRosbag2,
    MessageDefinitionFormat,
    Qos,
)
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from sam6d_ros.errors import InvalidBag, InvalidFrame
from sam6d_ros.frames.bags.storage import METADATA, readable, storage_of

log = logging.getLogger(__name__)

CDR = "cdr"
LATEST_NS = 2**31 * 1_000_000_000  # builtin_interfaces/Time has 31 bits of seconds


Self = TypeVar("Self", bound="BagReader")
# Type name and CDR bytes → message; raises InvalidBag for an unknown type.
Decode = Callable[[str, bytes], Any]


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
    decode: Decode

    def message(self) -> Any:
        """Decode the message.

        Returns:
            The message.

        Raises:
            InvalidBag: its type is not installed here.
            InvalidFrame: the bytes are not of this type.
        """
        try:
            return self.decode(self.topic.type_name, self.data)
        except InvalidBag:
            raise
        # Of the decoding library: of every kind, as the bytes are not checked before.
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
        decode: makes messages of their bytes (default: those of ``rosbags``, whose fields are those
            of the ROS types).

    Raises:
        InvalidBag: it is not there, not a ROS 2 bag, or damaged.
    """

    def __init__(self, path: Path, decode: Decode | None = None) -> None:
        self.path, self._decode = path, decode or rosbags_decoder()
        with readable(path):
            self._reader = Reader(storage_of(path))
            self._reader.open()
            self._connections: dict[Topic, list[Connection]] = {}
            for connection in self._reader.connections:
                self._add(connection)
            self.topics: Sequence[Topic] = tuple(self._connections)
            self.start_ns = _checked(self._reader.start_time) if self._reader.message_count else 0
            self.duration_ns = int(self._reader.duration)

    def _add(self, connection: Connection) -> None:
        """One more connection; those of the same topic and type become one topic."""
        extension = _extension(connection)
        if extension.serialization_format != CDR:
            log.warning(
                "%s: topic %s is skipped: it is serialized as %r, expected %r",
                *(self.path, connection.topic, extension.serialization_format, CDR),
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
            offers=tuple(
                checked_offer(o) for c in together for o in _extension(c).offered_qos_profiles
            ),
            definition=connection.msgdef.data if is_text else "",
            rihs01=connection.digest,
        )
        self._connections[topic] = together

    def topic(self, name: str) -> Topic:
        """Find the topic of a name.

        Returns:
            The topic.

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
        """Read the messages of these topics by time, from ``start_ns`` to before ``stop_ns``.

        Yields:
            Messages with their topic and time of receipt.

        Raises:
            InvalidBag: the bag is damaged from here on.
        """
        wanted = [c for topic in topics for c in self._connections[topic]]
        if not wanted:
            return
        topic_of = {(t.name, t.type_name): t for t in topics}
        read = 0
        with readable(self.path):
            for connection, time_ns, data in self._reader.messages(wanted, start_ns, stop_ns):
                read += 1
                topic = topic_of[connection.topic, connection.msgtype]
                yield Recorded(topic, _checked(time_ns), bytes(data), self._decode)
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

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._reader.close()


def rosbags_decoder() -> Decode:
    """Return the decoder of the message types that ``rosbags`` brings."""
    store = get_typestore(Stores.LATEST)

    def decode(type_name: str, data: bytes) -> Any:
        if type_name not in store.types:
            raise InvalidBag(f"the type {type_name} is not known without ROS")
        return store.deserialize_cdr(data, type_name)

    return decode


def checked_offer(offer: Qos) -> Qos:
    """Check that the numbers of an offer are numbers; they come from a file.

    Returns:
        The same offer.

    Raises:
        ValueError: they are not.
    """
    numbers = (offer.depth, *offer.deadline, *offer.lifespan, *offer.liveliness_lease_duration)
    if not all(isinstance(number, int) and number >= 0 for number in numbers):
        raise ValueError(f"offered_qos_profiles has {numbers}; expected whole numbers from 0 on")
    return offer


def _extension(connection: Connection) -> ConnectionExtRosbag2:
    """Return the part of a connection that only bags of ROS 2 have."""
    assert isinstance(connection.ext, ConnectionExtRosbag2)  # as our reader makes them
    return connection.ext


def _checked(time_ns: int) -> int:
    """A time that a stamp can hold."""
    if not 0 <= time_ns < LATEST_NS:
        raise ValueError(f"it has a message at {time_ns} ns, which is no time since 1970")
    return time_ns
