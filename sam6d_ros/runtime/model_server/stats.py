"""Statistics of one model of the model server: counts, seconds of each phase, throughput."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

KEPT_CALLS = 1000  # most recent ones, for the distributions
RATE_WINDOW_S = 60


@dataclass(frozen=True)
class Distribution:
    """Distribution of the most recent values; all 0 if there is none.

    Attributes:
        count: number of values that it is computed of, at most ``KEPT_CALLS``.
    """

    count: int = 0
    mean: float = 0.0
    min: float = 0.0
    max: float = 0.0
    p50: float = 0.0
    p95: float = 0.0

    @classmethod
    def of(cls, values: deque[float]) -> Distribution:
        """Compute the distribution of values.

        Args:
            values: seconds, for example.

        Returns:
            Count, mean, extremes and percentiles; zeros without values.
        """
        if not values:
            return cls()
        array = np.fromiter(values, float)
        p50, p95 = np.percentile(array, [50, 95])
        figures = (array.mean(), array.min(), array.max(), p50, p95)
        return cls(len(array), *(float(figure) for figure in figures))


@dataclass(frozen=True)
class ModelFigures:
    """Statistics at one moment. Counts are since the model was loaded.

    Attributes:
        images: images answered without error.
        errors: images answered with one.
        calls: batches.
        images_per_s: images answered per second over the last minute.
        phases_s: seconds of one call, by phase.
        batch: images per call.
    """

    images: int
    errors: int
    calls: int
    images_per_s: float
    phases_s: Mapping[str, Distribution]
    batch: Distribution


class PhaseTimes:
    """Seconds of the phases of one call; a phase that comes twice is added up.

    Args:
        clock: seconds that never jump.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds: dict[str, float] = {}
        self._clock = clock

    @contextmanager
    def measure(self, phase: str) -> Iterator[None]:
        """Measure the seconds of a phase, also when it raises.

        Args:
            phase: name of the phase.
        """
        start = self._clock()
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + self._clock() - start


class ModelStats:
    """Counts and times of one model; every method may be called from any thread.

    Args:
        clock: seconds that never jump.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._started = clock, clock()
        self._images = self._errors = self._calls = 0
        self._seconds: deque[tuple[int, int]] = deque(maxlen=RATE_WINDOW_S + 1)
        self._phases: dict[str, deque[float]] = {}
        self._batch: deque[float] = deque(maxlen=KEPT_CALLS)
        self._lock = threading.Lock()

    def record(self, phases_s: Mapping[str, float], images: int, errors: int) -> None:
        """Record a call.

        Args:
            phases_s: seconds of its phases; may be empty where they are not measured.
            images: number of images answered without an error.
            errors: number of images answered with one.
        """
        with self._lock:
            self._images, self._errors = self._images + images, self._errors + errors
            self._calls += 1
            self._batch.append(images + errors)
            self._count(images)
            for phase, seconds in phases_s.items():
                self._phases.setdefault(phase, deque(maxlen=KEPT_CALLS)).append(seconds)

    def figures(self) -> ModelFigures:
        """Return the statistics of this moment."""
        with self._lock:
            return ModelFigures(
                self._images,
                self._errors,
                self._calls,
                self._images_per_s(),
                {phase: Distribution.of(values) for phase, values in self._phases.items()},
                Distribution.of(self._batch),
            )

    def _count(self, images: int) -> None:
        """Add to the images of the present second."""
        second = int(self._clock())
        if self._seconds and self._seconds[-1][0] == second:
            images += self._seconds.pop()[1]
        self._seconds.append((second, images))

    def _images_per_s(self) -> float:
        now = self._clock()
        oldest = now - RATE_WINDOW_S
        images = sum(count for second, count in self._seconds if second >= oldest)
        return images / min(RATE_WINDOW_S, max(now - self._started, 1.0))


def summary(figures: ModelFigures) -> str:
    """Return the statistics as one line of a log; times in milliseconds.

    Args:
        figures: counts and times of a model.
    """
    phases = ", ".join(
        f"{phase} {1e3 * spread.mean:.1f} (p95 {1e3 * spread.p95:.1f})"
        for phase, spread in figures.phases_s.items()
    )
    return (
        f"{figures.images} images, {figures.errors} errors, {figures.images_per_s:.1f} images/s "
        f"over the last minute" + (f"; ms: {phases}" if phases else "")
    )
