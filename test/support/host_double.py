"""Engine, clock and timer for tests of a host."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import MappingProxyType

from sam6d_ros.runtime.host import Host

PATIENCE_S = 10.0


class EngineDouble:
    """Engine without stages; it notes if two works enter at once."""

    def __init__(self, number: int = 0) -> None:
        self.number, self.backend, self.device = number, "double", "cpu"
        self.cache_dir: Path | None = None
        self.objects = self.entries = self.settings = MappingProxyType({})
        self.calls: list[object] = []
        self.overlaps = 0
        self._busy = threading.Lock()

    def take_objects(self, models, entries, settings) -> None:
        self.objects, self.entries = MappingProxyType(dict(models)), MappingProxyType(dict(entries))
        self.settings = MappingProxyType(dict(settings))

    def call(self, value: object) -> object:
        """Note a value and give it back."""
        if not self._busy.acquire(blocking=False):
            self.overlaps += 1
            return value
        try:
            self.calls.append(value)
            return value
        finally:
            self._busy.release()


class Gate:
    """Work that waits inside until ``open``; ``entered`` is set when it has begun."""

    def __init__(self) -> None:
        self.entered, self.released = threading.Event(), threading.Event()

    def __call__(self, engine, ctx) -> str:
        with ctx.stage("first"):
            self.entered.set()
            assert self.released.wait(PATIENCE_S)
        with ctx.stage("second"):
            return "through"

    def wait_entered(self) -> None:
        assert self.entered.wait(PATIENCE_S)

    def open(self) -> None:
        self.released.set()


class ManualTime:
    """Clock that stands until ``advance``, and the timer that goes by it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.calls: dict[object, tuple[float, Callable[[], None]]] = {}
        self.stopped = False

    def clock(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> Callable[[], None]:
        key = object()
        self.calls[key] = (when, callback)
        return lambda: self.calls.pop(key, None)

    def stop(self) -> None:
        self.stopped = True

    def advance(self, seconds: float) -> None:
        self.now += seconds
        for key, (when, callback) in sorted(self.calls.items(), key=lambda item: item[1][0]):
            if when <= self.now and self.calls.pop(key, None):
                callback()


class Numbered:
    """Builder of engines that counts them; ``error`` makes the next builds fail."""

    def __init__(self) -> None:
        self.built: list[EngineDouble] = []
        self.count = 0
        self.error: BaseException | None = None

    def __call__(self) -> EngineDouble:
        if self.error is not None:
            raise self.error
        self.count += 1
        engine = EngineDouble(self.count)
        self.built.append(engine)
        return engine


def serving(host: Host) -> Host:
    """Load and activate a host."""
    host.load().result(PATIENCE_S)
    host.activate()
    return host


def outcome(future: Future) -> object:
    """Return the result, or the error."""
    error = future.exception(PATIENCE_S)
    return future.result() if error is None else error


def settle(host: Host) -> None:
    """Wait until the compute thread has finished what was handed over before."""
    from sam6d_ros.runtime.objects import ObjectChange

    outcome(host.change(ObjectChange()))
