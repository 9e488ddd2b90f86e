"""Sets of camera messages out of a bag, paired as the nodes pair them."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import NamedTuple

from message_filters import ApproximateTimeSynchronizer, SimpleFilter, TimeSynchronizer
from sensor_msgs.msg import CameraInfo, Image

from sam6d_ros.apps.ros.bags.reader import BagReader, Recorded
from sam6d_ros.apps.ros.bags.topics import CameraTopics
from sam6d_ros.apps.ros.camera_input import CameraMessages
from sam6d_ros.apps.ros.camera_topics import INPUTS
from sam6d_ros.apps.ros.conversions import frame_from_messages, stamp_ns_of
from sam6d_ros.errors import InvalidFrame, InvalidInput
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
        filters = [SimpleFilter() for _ in INPUTS]
        self._inputs = dict(zip(topics.all(), zip(INPUTS, filters, strict=True), strict=True))
        synchronizer = (
            ApproximateTimeSynchronizer(filters, QUEUE_SIZE, slop_s)
            if slop_s
            else TimeSynchronizer(filters, QUEUE_SIZE)
        )
        synchronizer.registerCallback(self._pair)
        self._synchronizer = synchronizer  # kept: the filters call it
        self._paired: list[CameraMessages] = []
        # A file is read in no time: its watch sees one second pass before the first message, and
        # none after it, so that nothing is ever silent.
        times_s = iter([0.0])
        self._watch = PairingWatch(tuple(INPUTS), 0.5, clock=lambda: next(times_s, 1.0))

    def feed(self, recorded: Recorded) -> list[CameraSet]:
        """The sets that a message completes; messages of other topics complete none."""
        if recorded.topic not in self._inputs:
            return []
        name, entry = self._inputs[recorded.topic]
        try:
            message = recorded.message()
        except InvalidFrame as error:
            self.unreadable[str(error)] += 1
            return []
        self._watch.saw(name, stamp_ns_of(message.header))
        entry.signalMessage(message)
        complete, self._paired = self._paired, []
        return [CameraSet(messages, recorded.time_ns) for messages in complete]

    def _pair(self, rgb: Image, depth: Image, camera_info: CameraInfo) -> None:
        self._watch.paired()
        self._paired.append(CameraMessages(rgb, depth, camera_info))

    def problem(self) -> str:
        """Why nothing paired, once all is fed; empty when something did."""
        absent = [name for name, count in self._watch.counts.items() if not count]
        if absent:
            return f"no readable message of {', '.join(absent)}"
        return self._watch.never_pairs(self._slop_s)


def first_frame(bag: BagReader, topics: CameraTopics, slop_s: float) -> Frame | None:
    """The first frame that can be used, to judge the objects by; None when there is none."""
    source = FrameSource(topics, slop_s)
    for recorded in bag.messages(topics.all()):
        for camera in source.feed(recorded):
            with suppress(InvalidInput):
                return frame_from_messages(*camera.messages)
    return None
