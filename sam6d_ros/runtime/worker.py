"""A thread with a one-slot mailbox and a queue of jobs: callbacks hand over and return at once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import partial
from typing import Any, Generic, TypeVar

from sam6d_ros.errors import Sam6dError

Item = TypeVar("Item")
Result = TypeVar("Result")


class Interrupted(Sam6dError):
    """A job was given up before it was done; the message says why."""


class Worker(Generic[Item]):
    """Does jobs in their order, and between them ``process`` on the newest item, in one thread.

    An item that is still waiting when a newer one comes is dropped and counted: for a robot, a
    late answer about an old image is worth less than an answer about the newest one. A job is
    done before the next item, however many items come. The mailbox is closed at first.

    Args:
        name: of the thread.
        process: what is done with an item; errors are its own to handle.
    """

    def __init__(self, name: str, process: Callable[[Item], None]) -> None:
        self.dropped = 0
        self._process = process
        self._item: Item | None = None
        self._open = self._stopping = False
        self._jobs: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._unanswered: set[Future[Any]] = set()
        self._changed = threading.Condition()
        # A daemon, because a stage in the middle of a frame cannot be interrupted.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def stopping(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stopping

    def submit(self, item: Item) -> None:
        """Leave an item for the thread, in place of one that still waits; closed: forget it."""
        with self._changed:
            if self._open:
                self.dropped += self._item is not None
                self._item = item
                self._changed.notify()

    def call(self, job: Callable[[], Result]) -> Future[Result]:
        """Have a job done before the next item; the future gets its result or its error.

        The future fails with ``Interrupted`` when ``interrupt`` or ``stop`` comes first. Its
        callbacks run in the thread that ends it, mostly the worker's.
        """
        future: Future[Result] = Future()
        with self._changed:
            if not self._stopping:
                self._jobs.append((future, job))
                self._unanswered.add(future)
                self._changed.notify()
                return future
        future.set_exception(Interrupted("the node is shutting down"))
        return future

    def open(self) -> None:
        """Take items from now on, and count anew."""
        with self._changed:
            self._open, self.dropped = True, 0

    def close(self) -> None:
        """Take no items any more and forget the one that waits."""
        with self._changed:
            self._open, self._item = False, None

    def interrupt(self, why: str) -> None:
        """Fail all jobs. The one in work runs on, but nobody gets its result."""
        with self._changed:
            futures, self._unanswered = self._unanswered, set()
            self._jobs.clear()
        for future in futures:
            with suppress(InvalidStateError):
                future.set_exception(Interrupted(why))

    def stop(self) -> None:
        """Fail all jobs and ask the thread to end after what is in work."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self.interrupt("the node is shutting down")

    def join(self, timeout_s: float) -> None:
        """Wait for the thread to end."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while (work := self._next()) is not None:
            work()
            del work  # it may hold what a later cleanup shall free

    def _next(self) -> Callable[[], None] | None:
        """What to do next; None when the thread shall end."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopping or self._jobs or self._item is not None,
            )
            if self._stopping:
                return None
            if self._jobs:
                future, job = self._jobs.popleft()
                return lambda: self._do(future, job)
            item, self._item = self._item, None
            assert item is not None  # the wait ended for it
            return partial(self._process, item)

    def _do(self, future: Future[Any], job: Callable[[], Any]) -> None:
        """Do one job and pass its outcome on, unless it was given up meanwhile."""
        try:
            result, error = job(), None
        except Exception as failure:  # the caller's to handle, who gets it from the future
            result, error = None, failure
        with self._changed:
            self._unanswered.discard(future)
        with suppress(InvalidStateError):
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
