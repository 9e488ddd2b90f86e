"""Requests: work for an engine with deadline, cancellation, commit and stage feedback."""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections.abc import Callable
from typing import Generic, TypeVar

from sam6d_ros.errors import Cancelled, DeadlineExceeded, Sam6dError
from sam6d_ros.pipeline import RunContext, Timings
from sam6d_ros.runtime.engine import Engine

T = TypeVar("T")
Part = TypeVar("Part")

NO_DEADLINE = math.inf
QUEUED = "queue"

Clock = Callable[[], float]


class Request(Generic[T]):
    """Work for an engine that a client can give up; every method may be called from any thread.

    Args:
        work: called once in the compute thread with the engine and ``context()``.
        deadline: monotonic seconds; afterwards the request fails with ``DeadlineExceeded``.
        on_stage: called with the name of each stage that begins; it must not block.
        reason_of: reads from a result why it is empty, or nothing; for the host's status.
        is_frame: whether the host counts it as a processed frame.
        request_id: for logs and answers (default: a random one).
        arrived: when the request came, by the clock (default: now); its timeout counts from there.
        clock: seconds that never jump; ``deadline`` is by it.

    Attributes:
        id: request id.
        stage: name of the stage in progress; ``"queue"`` until work begins.
    """

    def __init__(
        self,
        work: Callable[[Engine, RunContext], T],
        deadline: float = NO_DEADLINE,
        *,
        on_stage: Callable[[str], None] | None = None,
        reason_of: Callable[[T], str] | None = None,
        is_frame: bool = True,
        request_id: str = "",
        arrived: float | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.work, self.reason_of = work, reason_of or _no_reason
        self.is_frame = is_frame
        self.id = request_id or uuid.uuid4().hex
        self._life = _Life(deadline, on_stage, clock, arrived)

    @property
    def deadline(self) -> float:
        """Monotonic seconds; infinite without one."""
        return self._life.deadline

    @property
    def stage(self) -> str:
        """Name of the stage in progress."""
        return self._life.stage

    @property
    def elapsed_s(self) -> float:
        """Seconds since the request was made."""
        return self._life.clock() - self._life.started

    @property
    def committed(self) -> bool:
        """Whether ``commit`` has succeeded."""
        return self._life.committed

    def part(
        self,
        work: Callable[[Engine, RunContext], Part],
        reason_of: Callable[[Part], str] | None = None,
        is_frame: bool = True,
    ) -> Request[Part]:
        """Return a request for a part of this one: same id, deadline, cancellation and commit.

        Args:
            work: the work of the part.
            reason_of: returns the reason of an empty result.
            is_frame: whether the part counts as a processed frame.
        """
        part = Request(work, reason_of=reason_of, is_frame=is_frame, request_id=self.id)
        part._life = self._life
        return part

    def context(self) -> RunContext:
        """Return the context of one run: ``check`` before each stage, feedback of its name."""
        return RunContext(Timings(), checkpoint=self.check, on_stage=self.enter)

    def enter(self, stage: str) -> None:
        """Begin a stage and pass its name to ``on_stage``.

        Args:
            stage: name of the stage.
        """
        self._life.stage = stage
        self._life.on_stage(stage)

    def cancel(self) -> bool:
        """Give the request up.

        Returns:
            False if it is too late because the result is committed.
        """
        return self._life.cancel()

    def expire(self) -> None:
        """Look at the clock: if the deadline has passed, whoever waits gets the error now."""
        self._life.report()

    def commit(self) -> None:
        """Exclude cancellation and the deadline from now on.

        Raises:
            Cancelled, DeadlineExceeded: it is too late.
        """
        self._life.commit()

    def check(self) -> None:
        """Raise if the request is over; do nothing otherwise.

        Raises:
            Cancelled, DeadlineExceeded: names the stage, and the timeout.
        """
        if error := self._life.error():
            raise error

    def when_over(self, callback: Callable[[Sam6dError], None]) -> Callable[[], None]:
        """Register a callback for the error of a request that is given up or expires; called once.

        It runs in the thread that gives up or expires the request, at once if it is over already.

        Args:
            callback: receives the error.

        Returns:
            A function that withdraws the callback.
        """
        return self._life.when_over(callback)


class _Life:
    """State that a request shares with its parts."""

    def __init__(
        self,
        deadline: float,
        on_stage: Callable[[str], None] | None,
        clock: Clock,
        arrived: float | None,
    ) -> None:
        self.deadline, self.on_stage, self.clock = deadline, on_stage or _ignore, clock
        self.started = clock() if arrived is None else arrived
        self.stage = QUEUED
        self.committed = self._cancelled = False
        self._callbacks: dict[object, Callable[[Sam6dError], None]] = {}
        self._lock = threading.Lock()

    def error(self) -> Sam6dError | None:
        """Return why the request is over, or None."""
        with self._lock:
            return self._error()

    def _error(self) -> Sam6dError | None:
        if self.committed:
            return None
        if self._cancelled:
            return Cancelled(f"cancelled in stage {self.stage}")
        if self.clock() >= self.deadline:
            return DeadlineExceeded(
                f"no result within the timeout of {round(self.deadline - self.started, 3):g} s; "
                f"stage in progress: {self.stage}"
            )
        return None

    def cancel(self) -> bool:
        with self._lock:
            if self.committed:
                return False
            self._cancelled = True
        self.report()
        return True

    def commit(self) -> None:
        with self._lock:
            if error := self._error():
                raise error
            self.committed = True

    def report(self) -> None:
        """If the request is over, call every callback, outside the lock."""
        with self._lock:
            error = self._error()
            if error is None:
                return
            callbacks, self._callbacks = self._callbacks, {}
        for callback in callbacks.values():
            callback(error)

    def when_over(self, callback: Callable[[Sam6dError], None]) -> Callable[[], None]:
        key = object()
        with self._lock:
            self._callbacks[key] = callback
        self.report()

        def withdraw() -> None:
            with self._lock:
                self._callbacks.pop(key, None)

        return withdraw


def _no_reason(_: object) -> str:
    return ""


def _ignore(_: str) -> None:
    """Take no notice of a stage."""
