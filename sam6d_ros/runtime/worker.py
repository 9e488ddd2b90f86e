"""One compute thread with a newest-only slot for items and a FIFO of jobs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import partial
from typing import Any, Generic, TypeVar

from sam6d_ros.errors import NotReady

Item = TypeVar("Item")
Result = TypeVar("Result")


class Worker(Generic[Item]):
    """Thread that does jobs in their order and, between them, processes the newest item.

    An item that still waits when a newer one comes is dropped and counted: an answer about the
    newest image is worth more than a late one about an old image. A job runs before the next
    item, however many items come. The slot is closed at first.

    Args:
        name: of the thread.
        process: called with each item; handles its own errors.
        ended: called in the thread at its end, after the work in progress.

    Attributes:
        dropped: number of items that a newer one replaced, since ``open``.
        refused: number of items that came while the slot was closed.
    """

    def __init__(
        self, name: str, process: Callable[[Item], None], ended: Callable[[], None] | None = None
    ) -> None:
        self.dropped = self.refused = 0
        self._process, self._ended = process, ended
        self._item: Item | None = None
        self._open = self._stopping = self._processing = False
        self._end = ""
        self._jobs: dict[Future[Any], Callable[[], None]] = {}  # in their order
        self._current: Future[Any] | None = None
        self._changed = threading.Condition()
        # A daemon, because a stage in the middle of a frame cannot be interrupted.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def stopping(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stopping

    def offer(self, item: Item) -> bool:
        """Put an item in place of one that still waits.

        Args:
            item: the newest item.

        Returns:
            False if the slot is closed.
        """
        with self._changed:
            if not self._open:
                self.refused += 1
                return False
            self.dropped += self._item is not None
            self._item = item
            self._changed.notify_all()
            return True

    def call(self, job: Callable[[], Result]) -> Future[Result]:
        """Queue a job; the future gets its result or its error.

        The future fails with ``NotReady`` if ``interrupt`` or ``stop`` comes first. Callbacks of
        the future run in the thread that completes it, mostly the worker's.

        Args:
            job: the work.

        Returns:
            The future.
        """
        future: Future[Result] = Future()
        self.queue(future, lambda: complete(future, job))
        return future

    def queue(self, future: Future[Any], job: Callable[[], None]) -> None:
        """Queue a job that completes the future itself; skip it if that was done before.

        Args:
            future: receives the result.
            job: completes the future.
        """
        with self._changed:
            if not self._stopping:
                self._jobs[future] = job
                self._changed.notify_all()
                return
        fail(future, NotReady(self._end))

    def withdraw(self, future: Future[Any]) -> bool:
        """Remove a job from the queue.

        Args:
            future: of the job.

        Returns:
            False if it is not there, because it began or ended.
        """
        with self._changed:
            return self._jobs.pop(future, None) is not None

    def open(self) -> None:
        """Take items from now on, and count anew."""
        with self._changed:
            self._open, self.dropped, self.refused = True, 0, 0

    def close(self) -> None:
        """Take no items any more, and drop the one that waits."""
        with self._changed:
            self._open, self._item = False, None

    def interrupt(self, reason: str) -> None:
        """Fail all jobs with ``NotReady``. The one in progress runs on; its result is lost.

        Args:
            reason: for the error text.
        """
        with self._changed:
            futures, self._jobs = [*self._jobs], {}
            if self._current is not None:
                futures.insert(0, self._current)
        for future in futures:
            fail(future, NotReady(reason))

    def stop(self, reason: str = "the worker has ended") -> None:
        """Fail all jobs and end the thread after the work in progress.

        Args:
            reason: for the error text.
        """
        with self._changed:
            self._stopping, self._end = True, reason
            self._item = None
            self._changed.notify_all()
        self.interrupt(reason)

    def wait_for_item(self, timeout_s: float) -> bool:
        """Wait until no item is in progress.

        Args:
            timeout_s: longest wait, seconds.

        Returns:
            Whether that came within the timeout.
        """
        with self._changed:
            return self._changed.wait_for(lambda: not self._processing, timeout_s)

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread to end.

        Args:
            timeout_s: longest wait, seconds.

        Returns:
            Whether it ended.
        """
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (work := self._next()) is not None:
            work()
            del work  # it may hold what a later cleanup frees
        if self._ended is not None:
            self._ended()

    def _next(self) -> Callable[[], None] | None:
        """Wait for work; None if the thread shall end."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopping or self._jobs or self._item is not None,
            )
            if self._stopping:
                return None
            if self._jobs:
                self._current = next(iter(self._jobs))
                return partial(self._do, self._current, self._jobs.pop(self._current))
            item, self._item = self._item, None
            assert item is not None  # the wait ended for it
            self._processing = True
            return partial(self._do_item, item)

    def _do_item(self, item: Item) -> None:
        try:
            self._process(item)
        finally:
            with self._changed:
                self._processing = False
                self._changed.notify_all()

    def _do(self, future: Future[Any], job: Callable[[], None]) -> None:
        """Do one job, unless its future was completed before."""
        try:
            if not future.done():
                job()
        finally:
            with self._changed:
                self._current = None


def complete(future: Future[Any], job: Callable[[], Any]) -> None:
    """Run a job and complete a future with its result or error, unless it was completed before.

    Args:
        future: receives the result.
        job: the work.
    """
    try:
        result = job()
    except BaseException as error:  # for the holder of the future; the thread lives on
        fail(future, error)
    else:
        with suppress(InvalidStateError):
            future.set_result(result)


def fail(future: Future[Any], error: BaseException) -> None:
    """Fail a future, unless it was completed before.

    Args:
        future: receives the error.
        error: the cause.
    """
    with suppress(InvalidStateError):
        future.set_exception(error)
