"""Threads for slow callbacks of a node, and the way between them and the executor's thread.

The executor has one thread, because several cost every message more than they gain. A coroutine
waits in it while the work is done in another thread. ROS entities are made and destroyed in it
alone: rclpy's wait set breaks when another thread destroys an entity that it waits for, and a
message may arrive before the thread that subscribes has set all attributes.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent import futures
from contextlib import suppress
from typing import Any, TypeVar

from rclpy.callback_groups import CallbackGroup
from rclpy.exceptions import InvalidHandle
from rclpy.node import Node
from rclpy.service import Service
from rclpy.task import Future

from sam6d_ros.errors import InvariantError, NotReady

Result = TypeVar("Result")


class SlowCalls:
    """Slow callbacks of a node, each in a thread of its own.

    Args:
        node: its executor resumes the coroutines.
        group: callback group of the coroutines, reentrant.
        report: called with the error of a service callback; the client gets an empty response.
    """

    def __init__(
        self, node: Node, group: CallbackGroup, report: Callable[[BaseException], None]
    ) -> None:
        self._node, self._group, self._report = node, group, report
        self.stopping = False
        self._threads: list[threading.Thread] = []
        self._wake = node.create_guard_condition(_nothing, callback_group=group)
        self._thread = threading.get_ident()
        self._jobs: deque[tuple[Callable[[], object], futures.Future[Any]]] = deque()
        self._have_jobs = node.create_guard_condition(self._do_jobs, callback_group=group)

    def start(self, job: Callable[[], Result]) -> futures.Future[Result]:
        """Do a job in a thread of its own; its error is in the future, always an ``Exception``."""
        outcome: futures.Future[Result] = futures.Future()

        def run() -> None:
            try:
                result = job()
            except BaseException as error:  # a waiting caller must get an answer
                outcome.set_exception(as_exception(error))
            else:
                outcome.set_result(result)

        thread = threading.Thread(target=run, daemon=True)
        self._threads = [t for t in self._threads if t.is_alive()] + [thread]
        thread.start()
        return outcome

    def in_executor(self, job: Callable[[], Result]) -> Result:
        """Run a short job in the executor's thread, which made this object.

        Returns:
            Result of the job.

        Raises:
            NotReady: the node stops, and the job was not done.
        """
        if threading.get_ident() == self._thread:
            return job()
        outcome: futures.Future[Result] = futures.Future()
        self._jobs.append((job, outcome))
        if self.stopping:
            self._drop_jobs()
        with suppress(InvalidHandle):
            self._have_jobs.trigger()
        return outcome.result()

    def _do_jobs(self) -> None:
        while self._jobs:
            job, outcome = self._jobs.popleft()
            try:
                outcome.set_result(job())
            except Exception as error:  # the boundary: it belongs to the thread that waits
                outcome.set_exception(error)

    def _drop_jobs(self) -> None:
        while self._jobs:
            with suppress(IndexError):  # another thread has dropped it
                _, outcome = self._jobs.popleft()
                outcome.set_exception(NotReady(f"{self._node.get_name()} stops"))

    def awaitable(self, outcome: futures.Future[Any]) -> Future:
        """The same outcome for a coroutine in the node's executor to await."""
        answer = Future(executor=self._node.executor)

        def pass_on(done: futures.Future[Any]) -> None:
            error = done.exception()
            if self.stopping:
                return  # no waiter is left
            if error is not None:
                answer.set_exception(as_exception(error))
            else:
                answer.set_result(done.result())
            # The executor looks at waiting coroutines only when something wakes it.
            with suppress(InvalidHandle):
                self._wake.trigger()

        outcome.add_done_callback(pass_on)
        return answer

    def detach(self, names: Sequence[str]) -> None:
        """Do the callbacks of the node's services of these names in threads of their own."""
        for service in self._node.services:
            if service.srv_name.rpartition("/")[2] in names:
                service.callback = self._detached(service)
                service.callback_group = self._group
                self._group.add_entity(service)

    def _detached(self, service: Service) -> Callable[[Any, Any], Any]:
        callback = service.callback

        async def answer(request: Any, response: Any) -> Any:
            try:
                return await self.awaitable(self.start(lambda: callback(request, response)))
            except Exception as error:  # the boundary: rclpy would end the node, without an answer
                self._report(error)
                return service.srv_type.Response()

        return answer

    def stop(self) -> None:
        """Drop the outcomes of other threads, and their jobs, from now on."""
        self.stopping = True
        self._drop_jobs()

    def join(self, timeout_s: float) -> None:
        """Wait for every thread to end, so long in all."""
        end = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))


def as_exception(error: BaseException) -> Exception:
    """Return an error that callers may catch: ``SystemExit`` in a thread ends no process."""
    if isinstance(error, Exception):
        return error
    wrapped = InvariantError(f"{type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped


def _nothing() -> None:
    """Do nothing: triggering the guard condition wakes the executor."""
