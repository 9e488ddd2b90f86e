"""Measurements of a node's own work: rates, ages, times. Holds no ROS type."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from sam6d_ros.runtime.frame_age import OTHER_CLOCK_S

WINDOW_S = 10.0
# A camera of 200 Hz fills it within the window; memory stays small whatever happens.
MOST_VALUES = 2000
# Over less time than that a rate is meaningless.
SHORTEST_SPAN_S = 1.0

Clock = Callable[[], float]


@dataclass(frozen=True)
class Spread:
    """Median and 95th percentile of the values of the last seconds; NaN when there is none."""

    median: float
    p95: float
    count: int


class SlidingWindow:
    """The values of the last seconds.

    Args:
        clock: seconds that never jump.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._values: deque[tuple[float, float]] = deque(maxlen=MOST_VALUES)

    def add(self, value: float = 0.0) -> None:
        """Record a value that is known now.

        Args:
            value: the value.
        """
        self._values.append((self._clock(), value))

    def recent(self) -> list[float]:
        """Return the values of the last ``WINDOW_S``, oldest first."""
        oldest = self._clock() - WINDOW_S
        return [value for at, value in tuple(self._values) if at >= oldest]

    def spread(self) -> Spread:
        """Return median and 95th percentile of the values."""
        values = self.recent()
        if not values:
            return Spread(math.nan, math.nan, 0)
        median, p95 = np.percentile(values, [50, 95])
        return Spread(float(median), float(p95), len(values))


@dataclass(frozen=True)
class Snapshot:
    """Measured values. Counts are since the start; rates and spreads of the last seconds.

    Attributes:
        input_rate_hz, output_rate_hz: frames that arrived, and that went through, per second.
        age: image stamp to publication of its result, seconds.
        received, processed, skipped, failed: frames.
        stages: how long each stage took, seconds.
        idle_s: since the last frame went through; infinite when none did.
        result_age_s: from the image of the newest result to now; infinite without a result. The
            part before its publication is unknown, and left out, if the image has another clock.
    """

    input_rate_hz: float
    output_rate_hz: float
    age: Spread
    received: int
    processed: int
    skipped: int
    failed: int
    stages: Mapping[str, Spread]
    idle_s: float
    result_age_s: float = math.inf


class FrameStats:
    """Counts and times the frames of one node; every method may be called from any thread.

    Args:
        clock: seconds that never jump (a simulation's clock may stand still).
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.restart()

    def restart(self) -> None:
        """Drop everything: the node has been activated."""
        with self._lock:
            self._started, self._last = self._clock(), -math.inf
            self._newest_image = -math.inf
            self._received = self._processed = self._skipped = self._failed = 0
            self._arrivals, self._ages = SlidingWindow(self._clock), SlidingWindow(self._clock)
            self._results = SlidingWindow(self._clock)
            self._stages: dict[str, SlidingWindow] = {}

    def receive(self) -> None:
        """A synchronised frame arrived."""
        with self._lock:
            self._received += 1
            self._arrivals.add()

    def skip(self) -> None:
        """A frame was too old, or beyond the rate limit."""
        with self._lock:
            self._skipped += 1

    def fail(self) -> None:
        """A frame could not be used, or broke inside a stage."""
        with self._lock:
            self._failed += 1

    def record_result(self, age_s: float) -> None:
        """Record that the result of a frame was published.

        Args:
            age_s: age of the image, seconds.
        """
        with self._lock:
            self._ages.add(age_s)
            self._newest_image = self._clock() - (age_s if 0 < age_s < OTHER_CLOCK_S else 0.0)

    def process(self, timings_s: Mapping[str, float]) -> None:
        """Record that a frame was processed.

        Args:
            timings_s: seconds by stage.
        """
        with self._lock:
            self._processed, self._last = self._processed + 1, self._clock()
            self._results.add()
            for stage, seconds in timings_s.items():
                self._stages.setdefault(stage, SlidingWindow(self._clock)).add(seconds)

    def snapshot(self) -> Snapshot:
        """Return all figures of this moment."""
        with self._lock:
            now = self._clock()
            span_s = min(WINDOW_S, max(now - self._started, SHORTEST_SPAN_S))
            stages = {name: window.spread() for name, window in self._stages.items()}
            return Snapshot(
                input_rate_hz=len(self._arrivals.recent()) / span_s,
                output_rate_hz=len(self._results.recent()) / span_s,
                age=self._ages.spread(),
                received=self._received,
                processed=self._processed,
                skipped=self._skipped,
                failed=self._failed,
                stages={name: spread for name, spread in stages.items() if spread.count},
                idle_s=now - self._last,
                result_age_s=now - self._newest_image,
            )
