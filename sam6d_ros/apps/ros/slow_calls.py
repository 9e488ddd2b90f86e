"""Threads for slow callbacks of a node, and futures of other threads for its coroutines.

The executor has one thread, because several cost every message more than they gain. A coroutine
waits in it while the work is done in another thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent import futures
from contextlib import suppress
from typing import Any, TypeVar

from rclpy.callback_groups import CallbackGroup
from rclpy.exceptions import InvalidHandle
from rclpy.node import Node
from rclpy.service import Service
from rclpy.task import Future

from sam6d_ros.errors import InvariantError

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

    def awaitable(self, outcome: futures.Future[Any]) -> Future:
        """The same outcome for a coroutine in the node's executor to await."""
        answer = Future(executor=self._node.executor)

        def pass_on(done: futures.Future[Any]) -> None:
            error = done.exception()
            if self.stopping:
                return  # nobody waits any more
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
        """Drop the outcomes of other threads from now on."""
        self.stopping = True

    def join(self, timeout_s: float) -> None:
        """Wait for every thread to end."""
        for thread in self._threads:
            thread.join(timeout_s)


def as_exception(error: BaseException) -> Exception:
    """Return an error that callers may catch: ``SystemExit`` in a thread ends no process."""
    if isinstance(error, Exception):
        return error
    wrapped = InvariantError(f"{type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped


def _nothing() -> None:
    """Do nothing: triggering the guard condition wakes the executor."""
