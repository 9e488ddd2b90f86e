"""Bag time laid over a clock that does not jump. Holds no ROS type."""

from __future__ import annotations

import time
from collections.abc import Callable

from sam6d_ros.geometry.units import NS_PER_S


class Schedule:
    """Due time of each message of a bag at a rate, and the time within the bag.

    Args:
        start_ns: bag time of the first moment.
        rate: bag seconds per second.
        clock: seconds that never jump.

    Bag time stands still at ``start_ns`` until ``start`` is called.
    """

    def __init__(
        self, start_ns: int, rate: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._start_ns, self._rate, self._clock = start_ns, rate, clock
        self._started_s: float | None = None

    def start(self) -> None:
        """Let bag time run, from ``start_ns`` on."""
        self._started_s = self._clock()

    def now_ns(self) -> int:
        """Bag time."""
        if self._started_s is None:
            return self._start_ns
        elapsed_s = self._clock() - self._started_s
        return self._start_ns + round(elapsed_s * self._rate * NS_PER_S)

    def seconds_until(self, bag_ns: int) -> float:
        """Seconds of the clock until a moment of the bag; negative when it has passed."""
        return (bag_ns - self.now_ns()) / NS_PER_S / self._rate
