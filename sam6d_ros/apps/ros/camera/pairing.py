"""Synchronizer of the camera's topics that can drop what it keeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from message_filters import ApproximateTimeSynchronizer, SimpleFilter, TimeSynchronizer

from sam6d_ros.apps.ros.conversions import stamp_ns_of

BACK_NS = 500_000_000  # messages of one camera that overtake each other are nearer


class FramePairing:
    """Messages of several topics in, sets with matching stamps out.

    The synchronizers of message_filters drop the oldest stamp of a full queue. After a jump back in
    time the queues are full of later stamps, and every new message is dropped: ``reset`` ends that.
    It is called by itself when the stamps of a topic go back, as in a bag that begins again.

    Args:
        names: of the topics.
        queue_size: messages kept per topic.
        slop_s: largest difference of paired stamps, seconds; 0: none.
        callback: called with one message of each topic; must not raise, because the original's
            synchronizer would stay locked.
    """

    def __init__(
        self, names: Sequence[str], queue_size: int, slop_s: float, callback: Callable[..., None]
    ) -> None:
        self._names, self._queue_size, self._slop_s = names, queue_size, slop_s
        self._callback = callback
        self._last_ns: dict[str, int] = {}
        self._newest_ns = 0
        self._filters: dict[str, SimpleFilter] = {}
        self.reset()

    def add(self, name: str, message: Any) -> None:
        """Take a message of a topic; its stamp must not be negative."""
        stamp_ns = stamp_ns_of(message.header)
        if stamp_ns < self._newest_ns - BACK_NS and stamp_ns < self._last_ns.get(name, 0):
            self.reset()
        self._last_ns[name] = stamp_ns
        self._newest_ns = max(self._newest_ns, stamp_ns)
        self._filters[name].signalMessage(message)

    def reset(self) -> None:
        """Drop every message that waits for its partners."""
        self._newest_ns = 0
        self._filters = {name: SimpleFilter() for name in self._names}
        filters = [*self._filters.values()]
        synchronizer = (
            ApproximateTimeSynchronizer(filters, self._queue_size, self._slop_s)
            if self._slop_s
            else TimeSynchronizer(filters, self._queue_size)
        )
        synchronizer.registerCallback(self._callback)
