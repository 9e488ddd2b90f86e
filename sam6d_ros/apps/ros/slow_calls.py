"""Callbacks that take long, done without keeping the node's executor waiting.

The executor has one thread, because several cost every message more than they gain. What waits is a
coroutine, and what it waits for goes on in another thread.
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

Result = TypeVar("Result")


class SlowCalls:
    """Threads of their own for a node's slow callbacks, and what coroutines wait for.

    Args:
        node: whose executor is woken when something is done.
        group: callback group, reentrant, so that who waits keeps nobody else waiting.
    """

    def __init__(self, node: Node, group: CallbackGroup) -> None:
        self._node, self._group = node, group
        self.stopping = False
        self._threads: list[threading.Thread] = []
        self._wake = node.create_guard_condition(_nothing, callback_group=group)

    def start(self, job: Callable[[], Result]) -> futures.Future[Result]:
        """Do a job in a thread of its own."""
        outcome: futures.Future[Result] = futures.Future()

        def run() -> None:
            try:
                outcome.set_result(job())
            except Exception as error:  # the caller's to handle, who gets it from the future
                outcome.set_exception(error)

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
                answer.set_exception(error)
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
            return await self.awaitable(self.start(lambda: callback(request, response)))

        return answer

    def stop(self) -> None:
        """Tell nobody any more."""
        self.stopping = True

    def join(self, timeout_s: float) -> None:
        """Wait for every thread to end."""
        for thread in self._threads:
            thread.join(timeout_s)


def _nothing() -> None:
    """What the waking guard condition does beside waking."""
