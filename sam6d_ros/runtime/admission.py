"""Admission control: a bounded number of requests wait for one compute thread."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from sam6d_ros.errors import NotReady, Overloaded

DEFAULT_CAPACITY = 16
SERVICE_TIMES_KEPT = 16
# Without a measured service time.
DEFAULT_RETRY_AFTER_S = 1.0


class Admission:
    """Decision on new requests, and counts of those that wait and run.

    Every method may be called from any thread.

    Args:
        name: of the host, in messages.
        capacity: most requests that wait; the one in progress is not counted.
        clock: seconds that never jump.
    """

    def __init__(
        self,
        name: str,
        capacity: int = DEFAULT_CAPACITY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if capacity < 1:
            raise ValueError(f"capacity is {capacity}; expected at least 1")
        self._name, self._capacity, self._clock = name, capacity, clock
        self._waiting = self._running = self._rejected = 0
        self._refusal = ""
        self._service_s: deque[float] = deque(maxlen=SERVICE_TIMES_KEPT)
        self._changed = threading.Condition()

    @property
    def waiting(self) -> int:
        """Number of requests that wait."""
        return self._waiting

    @property
    def rejected(self) -> int:
        """Number of requests refused because the queue was full."""
        return self._rejected

    @property
    def refusal(self) -> str:
        """Reason of refusal, after the name of the host; empty if requests are admitted."""
        return self._refusal

    def open(self) -> None:
        """Admit requests from now on."""
        with self._changed:
            self._refusal = ""

    def refuse(self, reason: str) -> None:
        """Refuse new requests with ``NotReady`` from now on.

        Args:
            reason: follows the name of the host in the message.
        """
        with self._changed:
            self._refusal = reason

    def enter(self) -> Place:
        """Let one more request wait.

        Returns:
            The place of the request.

        Raises:
            NotReady: requests are refused at present.
            Overloaded: the queue is full; the error has the time to the next attempt.
        """
        with self._changed:
            self.check()
            self._waiting += 1
        return Place(self)

    def check(self) -> None:
        """Refuse as `enter` does, but take no place: before a request is prepared.

        Raises:
            NotReady: as of `enter`.
            Overloaded: as of `enter`.
        """
        with self._changed:
            if self._refusal:
                raise NotReady(f"{self._name} {self._refusal}")
            if self._waiting < self._capacity:
                return
            self._rejected += 1
            retry_s = self._retry_after_s()
            raise Overloaded(
                f"{self._waiting} requests wait for {self._name} (at most {self._capacity}); "
                f"try again in {retry_s:.1f} s",
                retry_s,
            )

    def wait_until_empty(self, timeout_s: float) -> bool:
        """Wait until no request waits or runs.

        Args:
            timeout_s: longest wait, seconds.

        Returns:
            Whether that came within the timeout.
        """
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting + self._running, timeout_s)

    def _retry_after_s(self) -> float:
        """Estimate the time until the present queue is served: mean service time × its length."""
        times = self._service_s
        if not times:
            return DEFAULT_RETRY_AFTER_S
        return sum(times) / len(times) * (self._waiting + self._running)


class Place:
    """Place of one admitted request: it waits, then runs, then is left."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._waits = True
        self._begun: float | None = None

    def begin(self) -> bool:
        """Record that the request runs now.

        Returns:
            Whether it may run; False if its place was left while it waited.
        """
        owner = self._admission
        with owner._changed:
            if not self._waits:
                return False
            self._waits, self._begun = False, owner._clock()
            owner._waiting -= 1
            owner._running += 1
            return True

    def give_up(self) -> None:
        """Leave the queue if the request still waits."""
        owner = self._admission
        with owner._changed:
            if self._waits:
                self._waits = False
                owner._waiting -= 1
                owner._changed.notify_all()

    def finish(self) -> None:
        """Note that the request that ``begin`` started is done, however it ended."""
        owner = self._admission
        with owner._changed:
            if self._begun is not None:
                owner._service_s.append(owner._clock() - self._begun)
                self._begun = None
                owner._running -= 1
                owner._changed.notify_all()
