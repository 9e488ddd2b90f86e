"""Messages of a recorded camera → sets of one moment, by their stamps."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

from sam6d_ros.errors import InvalidFrame
from sam6d_ros.frames.bags.reader import BagReader, Recorded
from sam6d_ros.frames.bags.topics import CameraTopics
from sam6d_ros.frames.messages.frames import stamp_ns_of

WAITING = 30  # images that wait for their counterpart, about one second of a camera
SLOP_NS = 20_000_000  # as the default of `sam6d offline`


class CameraSet(NamedTuple):
    """Colour and depth of one moment, with the newest intrinsics; complete at ``time_ns``."""

    time_ns: int
    rgb: Any
    depth: Any
    info: Any


class Pairs:
    """Pairs of colour and depth images; feed it with the messages in their order.

    Args:
        topics: of the camera.
        slop_ns: largest difference of paired stamps.

    Attributes:
        problem: why the last message that could not be read was refused; or empty.
    """

    def __init__(self, topics: CameraTopics, slop_ns: int = SLOP_NS) -> None:
        self._topics, self._slop_ns = topics, slop_ns
        self._info: Any = None
        self._waiting: dict[str, deque[tuple[int, Any]]] = {
            topic.name: deque(maxlen=WAITING) for topic in (topics.rgb, topics.depth)
        }
        self.problem = ""

    def sets(self, bag: BagReader) -> Iterator[CameraSet | None]:
        """Yield the sets of a bag; None for each message that completes none.

        Raises:
            InvalidBag: the bag is damaged from here on.
        """
        for recorded in itertools.islice(bag.messages([self._topics.info]), 1):
            self.feed(recorded)  # the first images may come before it
        for recorded in bag.messages(self._topics.all()):
            yield self.feed(recorded)

    def feed(self, recorded: Recorded) -> CameraSet | None:
        """Return the set that a message completes, or None."""
        try:
            message = recorded.message()
        except InvalidFrame as error:
            self.problem = str(error)
            return None
        if recorded.topic == self._topics.info:
            self._info = message
            return None
        stamp_ns, name = stamp_ns_of(message.header), recorded.topic.name
        (other,) = self._waiting.keys() - {name}
        found = self._nearest(other, stamp_ns)
        if found is None or self._info is None:
            self._waiting[name].append((stamp_ns, message))
            return None
        pair = {name: message, other: found[1]}
        for waiting in self._waiting.values():  # what is older comes too late
            while waiting and waiting[0][0] <= max(stamp_ns, found[0]):
                waiting.popleft()
        rgb, depth = pair[self._topics.rgb.name], pair[self._topics.depth.name]
        return CameraSet(recorded.time_ns, rgb, depth, self._info)

    def _nearest(self, name: str, stamp_ns: int) -> tuple[int, Any] | None:
        near = [item for item in self._waiting[name] if abs(item[0] - stamp_ns) <= self._slop_ns]
        return min(near, key=lambda item: abs(item[0] - stamp_ns), default=None)
