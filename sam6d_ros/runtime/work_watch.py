"""Watch of work in progress: whether a piece of it takes too long."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    """Kind of work with the time after which it counts as stuck.

    Attributes:
        work: name of the work, in sentences.
        setting: name of the limit.
        seconds: the limit.
    """

    work: str
    setting: str
    seconds: float

    @property
    def exceeded(self) -> str:
        """Sentence about work beyond the limit."""
        return (
            f"{self.work} has taken more than {self.seconds:g} s ({self.setting}); requests wait "
            "for it"
        )


class WorkWatch:
    """Work in progress with its start; every method may be called from any thread.

    Args:
        stuck_after_s: time after which a frame or request counts as stuck.
        load_stuck_after_s: the same for a load, and for a change of the objects.
        clock: seconds that never jump.
    """

    def __init__(
        self,
        stuck_after_s: float = math.inf,
        load_stuck_after_s: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._work = Limit("one piece of work", "stuck_after_s", stuck_after_s)
        self._load = Limit("loading", "load_stuck_after_s", load_stuck_after_s)
        self._clock, self._lock = clock, threading.Lock()
        self._running: dict[object, tuple[float, Limit]] = {}

    @property
    def busy(self) -> bool:
        """Whether work is in progress."""
        return bool(self._running)

    @contextmanager
    def working(self, loading: bool) -> Iterator[None]:
        """Mark work in progress.

        Args:
            loading: whether it loads, or changes the objects.
        """
        work = object()
        with self._lock:
            self._running[work] = self._clock(), self._load if loading else self._work
        try:
            yield
        finally:
            with self._lock:
                del self._running[work]

    def stuck(self) -> str:
        """Return that work in progress takes too long, with its limit; empty otherwise."""
        with self._lock:
            now, running = self._clock(), [*self._running.values()]
        late = (limit.exceeded for start, limit in running if now - start >= limit.seconds)
        return next(late, "")
