"""Requests on their way through one compute thread: admission, deadline, cancellation, answer."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from sam6d_ros.errors import Sam6dError
from sam6d_ros.runtime.admission import Admission, Place
from sam6d_ros.runtime.deadlines import Deadlines, DeadlineThread
from sam6d_ros.runtime.request import NO_DEADLINE, Request
from sam6d_ros.runtime.request_log import working_for
from sam6d_ros.runtime.worker import Worker, complete, fail

T = TypeVar("T")


class RequestQueue:
    """FIFO of requests in front of a worker.

    Args:
        worker: does the work; its jobs and the requests share one order.
        admission: limit of the requests that wait.
        deadlines: timer of the requests (default: a thread of its own).
    """

    def __init__(
        self, worker: Worker[Any], admission: Admission, deadlines: Deadlines | None = None
    ) -> None:
        self._worker, self.admission = worker, admission
        self._shared = deadlines is not None
        self._deadlines: Deadlines = deadlines or DeadlineThread("request deadlines")

    def submit(
        self,
        request: Request[T],
        run: Callable[[], T],
        given_up: Callable[[Sam6dError], None],
    ) -> Future[T]:
        """Queue a request.

        The future is completed exactly once: with the result or the error of ``run``; with
        ``Cancelled`` or ``DeadlineExceeded`` as soon as the request is given up or expires, even
        if ``run`` is in progress; with ``Overloaded`` if the queue is full; or with ``NotReady``.
        Cancelling the future cancels the request.

        Args:
            request: deadline and cancellation.
            run: does the request, in the worker's thread.
            given_up: called with the error of a request that ended while it waited.

        Returns:
            The future.
        """
        future: Future[T] = Future()
        try:
            request.check()
            place = self.admission.enter()
        except Sam6dError as error:
            future.set_exception(error)
            return future
        self._worker.queue(future, lambda: _run(request, place, run, future))
        self._watch(request, place, future, given_up)
        return future

    def stop(self) -> None:
        """End the timer, unless it is another's."""
        if not self._shared:
            self._deadlines.stop()

    def _watch(
        self,
        request: Request[T],
        place: Place,
        future: Future[T],
        given_up: Callable[[Sam6dError], None],
    ) -> None:
        """Complete the future as soon as the request is over; leave nothing behind then."""

        def over(error: Sam6dError) -> None:
            waited = self._worker.withdraw(future)
            fail(future, error)
            if waited:
                given_up(error)

        undo = [request.when_over(over)]
        if request.deadline < NO_DEADLINE:
            undo.append(self._deadlines.call_at(request.deadline, request.expire))

        def done(_: Future[T]) -> None:
            for forget in undo:
                forget()
            self._worker.withdraw(future)
            place.give_up()
            if future.cancelled():
                request.cancel()

        future.add_done_callback(done)


def _run(request: Request[T], place: Place, run: Callable[[], T], future: Future[T]) -> None:
    """Complete the future before its place is left: who finds the queue empty finds no request."""

    def work() -> T:
        request.check()
        with working_for(request.id):
            return run()

    if place.begin():
        try:
            complete(future, work)
        finally:
            place.finish()
