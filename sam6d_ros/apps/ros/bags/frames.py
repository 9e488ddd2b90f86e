"""Sets of camera messages out of a bag, paired as the nodes pair them."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from sensor_msgs.msg import Image

from sam6d_ros.apps.ros.bags.reader import BagReader, Recorded
from sam6d_ros.apps.ros.camera.input import CameraMessages
from sam6d_ros.apps.ros.camera.intrinsics import Complete, Intrinsics
from sam6d_ros.apps.ros.camera.pairing import FramePairing
from sam6d_ros.apps.ros.camera.topics import INFO, INPUTS, PAIRED
from sam6d_ros.apps.ros.conversions import frame_from_messages, stamp_ns_of, stamp_problem
from sam6d_ros.errors import InvalidFrame, InvalidInput
from sam6d_ros.frames.bags.topics import CameraTopics
from sam6d_ros.runtime.pairing import PairingWatch
from sam6d_ros.types import Frame

# Messages of one topic that wait for their counterparts; the default of the nodes.
QUEUE_SIZE = 30


class CameraSet(NamedTuple):
    """One synchronised set, and when the bag had all of it."""

    messages: CameraMessages
    time_ns: int


class FrameSource:
    """Pairs the camera messages of a bag; feed it with them in their order.

    Args:
        slop_s: largest difference of paired stamps; 0 pairs equal stamps only.

    ``unreadable`` counts the messages that could not be read, by reason.
    """

    def __init__(self, topics: CameraTopics, slop_s: float) -> None:
        self._slop_s = slop_s
        self.unreadable: Counter[str] = Counter()
        self._inputs = dict(zip(topics.all(), INPUTS, strict=True))
        self._pairing = FramePairing(PAIRED, QUEUE_SIZE, slop_s, self._pair)
        self._intrinsics = Intrinsics()
        self._paired: list[CameraMessages] = []
        self._watch = PairingWatch(tuple(INPUTS), timeout_s=math.inf, once=(INFO,))
        self._has_paired, self._last_ns = False, 0

    def look_ahead(self, bag: BagReader) -> None:
        """Take the first intrinsics of the bag, so that no earlier image waits for them."""
        info = next(topic for topic, name in self._inputs.items() if name == INFO)
        for recorded in itertools.islice(bag.messages([info]), 1):
            with suppress(InvalidFrame):
                self._intrinsics.add(recorded.message())

    def sets(self, messages: Iterable[Recorded]) -> Iterator[CameraSet]:
        """The sets of all messages of a bag."""
        for recorded in messages:
            yield from self.feed(recorded)
        yield from self.rest()

    def feed(self, recorded: Recorded) -> list[CameraSet]:
        """The sets that a message completes; messages of other topics complete none."""
        if recorded.topic not in self._inputs:
            return []
        name = self._inputs[recorded.topic]
        try:
            message = recorded.message()
        except InvalidFrame as error:
            self.unreadable[str(error)] += 1
            return []
        if problem := stamp_problem(message.header.stamp):
            self.unreadable[f"{recorded.topic}: {problem}"] += 1
            return []
        self._watch.saw(name, stamp_ns_of(message.header))
        if name == INFO:
            self._complete(self._intrinsics.add(message))
        else:
            self._pairing.add(name, message)
        self._last_ns = recorded.time_ns
        return self._taken()

    def rest(self) -> list[CameraSet]:
        """The sets that wait at the end of the bag for intrinsics of their own stamp."""
        self._complete(self._intrinsics.flush())
        return self._taken()

    def _taken(self) -> list[CameraSet]:
        complete, self._paired = self._paired, []
        return [CameraSet(messages, self._last_ns) for messages in complete]

    def _pair(self, rgb: Image, depth: Image) -> None:
        self._has_paired = True
        self._complete(self._intrinsics.complete(rgb, depth))

    def _complete(self, found: list[Complete]) -> None:
        self._paired += [CameraMessages(*messages) for messages in found]

    def problem(self) -> str:
        """Return the reason why nothing paired, at the end of the bag; empty if something did."""
        absent = [name for name, count in self._watch.counts.items() if not count]
        if absent:
            return f"no readable message of {', '.join(absent)}"
        return "" if self._has_paired else self._watch.mismatch(self._slop_s)


def first_frame(bag: BagReader, topics: CameraTopics, slop_s: float) -> Frame | None:
    """The first frame that can be used, to judge the objects by; None when there is none."""
    source = FrameSource(topics, slop_s)
    source.look_ahead(bag)
    for camera in source.sets(bag.messages(topics.all())):
        with suppress(InvalidInput):
            return frame_from_messages(*camera.messages)
    return None
