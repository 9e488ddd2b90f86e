"""Filters that bring together messages of several topics by their stamps."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from typing import Any

from rclpy.duration import Duration
from rclpy.time import Time

from message_filters.simple_filter import SimpleFilter
from message_filters.stamps import stamp_of


class TimeSynchronizer(SimpleFilter):
    """Calls back with one message per input when all have exactly the same stamp.

    Each input's queue holds at most `queue_size` messages by stamp; the oldest stamp is dropped
    first. Callbacks run while the synchronizer is locked.
    """

    def __init__(self, fs: Sequence[SimpleFilter], queue_size: int) -> None:
        super().__init__()
        self.queue_size = queue_size
        self.lock = threading.Lock()
        self.connectInput(fs)

    def connectInput(self, fs: Sequence[SimpleFilter]) -> None:
        """Take messages from `fs`, with a new queue (stamp in nanoseconds → message) for each."""
        self.queues: list[dict[int, Any]] = [{} for _ in fs]
        self.input_connections = [
            f.registerCallback(self.add, queue, index)
            for index, (f, queue) in enumerate(zip(fs, self.queues, strict=True))
        ]

    def add(self, msg: Any, my_queue: dict[int, Any], my_queue_index: int | None = None) -> None:
        """Store a message of one input and call back with every set that it completes."""
        with self.lock:
            self._store(Time.from_msg(msg.header.stamp).nanoseconds, msg, my_queue)
            for stamp in sorted(set.intersection(*(set(queue) for queue in self.queues))):
                self._deliver([stamp] * len(self.queues))

    def _store(self, stamp: int, msg: Any, my_queue: dict[int, Any]) -> None:
        my_queue[stamp] = msg
        while len(my_queue) > self.queue_size:
            del my_queue[min(my_queue)]

    def _deliver(self, stamps: Sequence[int]) -> None:
        """Call back with the message of each queue under its stamp, then forget those."""
        self.signalMessage(*(q[stamp] for q, stamp in zip(self.queues, stamps, strict=True)))
        for queue, stamp in zip(self.queues, stamps, strict=True):
            del queue[stamp]


class ApproximateTimeSynchronizer(TimeSynchronizer):
    """Calls back with one message per input when their stamps differ by less than `slop` seconds.

    A set is looked for whenever a message arrives, among the messages nearest to it first; it is
    delivered as soon as it exists, so a better partner that is still on its way is not awaited.
    With `allow_headerless` a message without a header counts as stamped at its arrival.
    """

    def __init__(
        self,
        fs: Sequence[SimpleFilter],
        queue_size: int,
        slop: float,
        allow_headerless: bool = False,
    ) -> None:
        super().__init__(fs, queue_size)
        self.slop = Duration(seconds=slop)
        self.allow_headerless = allow_headerless

    def add(self, msg: Any, my_queue: dict[int, Any], my_queue_index: int | None = None) -> None:
        """Store a message of one input and call back with the best set that it completes."""
        time = stamp_of(msg, self.allow_headerless, "message_filters_approx")
        if time is None:
            return
        stamp, slop = time.nanoseconds, self.slop.nanoseconds
        with self.lock:
            self._store(stamp, msg, my_queue)
            # The new message may itself have been dropped as the oldest of a full queue.
            candidates = [self._near(stamp, queue, my_queue) for queue in self.queues]
            for stamps in itertools.product(*candidates):
                if max(stamps) - min(stamps) < slop:
                    self._deliver(stamps)
                    return

    def _near(self, stamp: int, queue: dict[int, Any], my_queue: dict[int, Any]) -> list[int]:
        """Stamps of one queue within the slop of `stamp`, nearest first."""
        if queue is my_queue:
            return [stamp] if stamp in queue else []
        slop = self.slop.nanoseconds
        return sorted((s for s in queue if abs(s - stamp) <= slop), key=lambda s: abs(s - stamp))
