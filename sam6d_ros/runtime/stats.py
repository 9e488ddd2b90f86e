"""What a node measures of its own work: rates, ages, times. Holds no ROS type."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

WINDOW_S = 10.0
# A camera of 200 Hz fills it within the window; memory stays small whatever happens.
MOST_VALUES = 2000
# Over less time than that a rate says nothing.
SHORTEST_SPAN_S = 1.0

Clock = Callable[[], float]


@dataclass(frozen=True)
class Spread:
    """Median and 95th percentile of the values of the last seconds; NaN when there is none."""

    median: float
    p95: float
    count: int


class Window:
    """The values of the last seconds.

    Args:
        clock: seconds that never jump.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._values: deque[tuple[float, float]] = deque(maxlen=MOST_VALUES)

    def add(self, value: float = 0.0) -> None:
        """Note a value that is known now."""
        self._values.append((self._clock(), value))

    def recent(self) -> list[float]:
        """The values, oldest first."""
        oldest = self._clock() - WINDOW_S
        return [value for at, value in tuple(self._values) if at >= oldest]

    def spread(self) -> Spread:
        """How the values are distributed."""
        values = self.recent()
        if not values:
            return Spread(math.nan, math.nan, 0)
        median, p95 = np.percentile(values, [50, 95])
        return Spread(float(median), float(p95), len(values))


@dataclass(frozen=True)
class Snapshot:
    """What was measured. Counts are since the start; rates and spreads of the last seconds.

    Attributes:
        input_rate_hz, output_rate_hz: frames that arrived, and that went through, per second.
        age: image stamp to publication of its result, seconds.
        received, processed, skipped, failed: frames.
        stages: how long each stage took, seconds.
        idle_s: since the last frame went through; infinite when none did.
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
        """Forget everything: the node has been activated."""
        with self._lock:
            self._started, self._last = self._clock(), -math.inf
            self._received = self._processed = self._skipped = self._failed = 0
            self._arrivals, self._ages = Window(self._clock), Window(self._clock)
            self._results = Window(self._clock)
            self._stages: dict[str, Window] = {}

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

    def publish(self, age_s: float) -> None:
        """The result of a frame was published at this age of the image."""
        with self._lock:
            self._ages.add(age_s)

    def process(self, timings_s: Mapping[str, float]) -> None:
        """A frame went through."""
        with self._lock:
            self._processed, self._last = self._processed + 1, self._clock()
            self._results.add()
            for stage, seconds in timings_s.items():
                self._stages.setdefault(stage, Window(self._clock)).add(seconds)

    def snapshot(self) -> Snapshot:
        """All figures of this moment."""
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
            )
