"""Life of a resource in one compute thread: load, serve requests and items, reload, free.

`host.Host` serves an engine by it, `model_host.ModelHost` a model of the model server.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Generic, TypeVar

from sam6d_ros.errors import NotReady
from sam6d_ros.pipeline import RunContext
from sam6d_ros.runtime.admission import DEFAULT_CAPACITY, Admission
from sam6d_ros.runtime.deadlines import Deadlines
from sam6d_ros.runtime.engine_host import HostCounts
from sam6d_ros.runtime.measured_work import MeasuredWork
from sam6d_ros.runtime.memory import free_memory
from sam6d_ros.runtime.phase_gate import PhaseGate
from sam6d_ros.runtime.request import Request
from sam6d_ros.runtime.request_queue import RequestQueue
from sam6d_ros.runtime.resource import Item, Process, R
from sam6d_ros.runtime.states import Phase
from sam6d_ros.runtime.status import HostStatus
from sam6d_ros.runtime.worker import Worker

T = TypeVar("T")


class ResourceHost(Generic[R, Item]):
    """Host of a resource that one thread owns; every method may be called from any thread.

    A host is loaded (``load``), then serves (``activate``) until ``deactivate``, ``drain``,
    ``unload`` or ``close``. An error of one request or item leaves it serving.

    Args:
        build: makes the resource, in the compute thread; raises if that is impossible.
        process: called in the compute thread with each item of ``offer``.
        status: record of events (default: a new one); only the host reports load and work to it.
        capacity: most requests that wait.
        name: of the host and its threads.
        deadlines: timer for the deadlines of requests.
        turn: held while the resource is used (default: nothing); hosts that share one share it.
        clock: seconds that never jump.
    """

    def __init__(
        self,
        build: Callable[[], R],
        process: Process[R, Item] | None = None,
        status: HostStatus | None = None,
        *,
        capacity: int = DEFAULT_CAPACITY,
        name: str = "host",
        deadlines: Deadlines | None = None,
        turn: AbstractContextManager[object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self.status = name, status or HostStatus(name)
        self._build, self._process = build, process
        self._turn = turn or nullcontext()
        self._resource: R | None = None
        self._worker: Worker[tuple[int, Item]] = Worker(name, self._work, self._release)
        admission = Admission(name, capacity, clock)
        self._queue = RequestQueue(self._worker, admission, deadlines)
        self._gate = PhaseGate(name, self.status, admission, self._worker, lambda: self.loaded)
        self._measured = MeasuredWork(self._required, self._gate, self.status, self._turn)

    @property
    def loaded(self) -> bool:
        """Whether there is a resource."""
        return self._resource is not None

    @property
    def active(self) -> bool:
        """Whether requests and items are served."""
        return self._phase is Phase.ACTIVE

    @property
    def _phase(self) -> Phase:
        return self._gate.phase

    def readiness(self) -> str:
        """Return the reason why requests are refused now; "" if they are admitted."""
        return self._gate.readiness()

    @property
    def counts(self) -> HostCounts:
        """Requests and items that wait, were dropped or refused."""
        admission, worker = self._queue.admission, self._worker
        return HostCounts(admission.waiting, admission.rejected, worker.dropped, worker.refused)

    def load(self) -> Future[None]:
        """Load, in place of the present resource once the requests that wait are done.

        Returns:
            A future that ends with the load.
        """
        self._gate.enter(Phase.LOADING)
        return self._worker.call(self._load)

    def reload(self) -> Future[None]:
        """Load as ``load`` does, and serve again afterwards if the host served.

        Returns:
            A future that ends with the load.
        """
        self._gate.enter(Phase.LOADING, keep_serving=True)
        return self._worker.call(self._load)

    def activate(self) -> None:
        """Serve requests and items from now on.

        Raises:
            NotReady: nothing is loaded.
        """
        self._gate.activate()

    def deactivate(self, reason: str = "deactivated") -> None:
        """Serve no longer; what waits or runs fails with ``NotReady`` and this reason.

        The context of work in progress raises ``NotReady`` at its next checkpoint.

        Args:
            reason: for requests that end by it.
        """
        entered = self._gate.leave(reason)
        self._worker.interrupt(reason)
        if entered is Phase.INACTIVE:
            self.status.deactivated()

    def unload(self, reason: str = "unloaded") -> Future[None]:
        """Free the resource after the work in progress; the rest as ``deactivate``.

        Args:
            reason: for requests that end by it.

        Returns:
            A future that ends when the resource is freed.
        """
        self._gate.enter(Phase.UNLOADED, reason)
        self._worker.interrupt(reason)
        return self._worker.call(self._unload)

    def drain(self, timeout_s: float) -> bool:
        """Refuse new requests and items; wait for what waits or runs, then fail the rest.

        An item that waits is dropped; one in progress is finished.

        Args:
            timeout_s: longest wait, seconds.

        Returns:
            Whether all of it was finished within the timeout.
        """
        end = time.monotonic() + timeout_s
        if self.active:
            self.status.draining()
        self._gate.enter(Phase.DRAINING)
        finished = self._queue.admission.wait_until_empty(timeout_s)
        finished = self._worker.wait_for_item(max(end - time.monotonic(), 0.0)) and finished
        if not finished:
            reason = f"{self.name} was drained before the work was finished"
            self._gate.interrupt(reason)
            self._worker.interrupt(reason)
        return finished

    def close(self, timeout_s: float = 0.0) -> bool:
        """Free the resource and end the threads after the work in progress.

        What waits or runs fails with ``NotReady``.

        Args:
            timeout_s: time to wait for the compute thread.

        Returns:
            Whether the compute thread has ended; if not, it frees the resource when it comes to it.
        """
        self._end()
        return self._worker.join(timeout_s)

    def check_room(self) -> None:
        """Refuse, as `submit` would now, a request that has yet to be prepared.

        Raises:
            NotReady, Overloaded: see ``Admission.check``.
        """
        self._queue.admission.check()

    def submit(self, request: Request[T]) -> Future[T]:
        """Queue a request; it runs after those that came before it.

        See ``RequestQueue.submit`` for the future.

        Args:
            request: the work.

        Returns:
            A future with the result.
        """
        period = self._gate.period
        return self._queue.submit(request, lambda: self._run(request, period), self.status.failed)

    def offer(self, item: Item) -> bool:
        """Offer the newest item; it replaces one that still waits.

        Args:
            item: a frame, for example.

        Returns:
            Whether it was taken; False, and counted as refused, if the host does not serve.
        """
        return self._worker.offer((self._gate.period, item))

    # --- in the compute thread

    def _load(self) -> None:
        self._gate.enter(Phase.LOADING, keep_serving=True)
        try:
            if self._resource is not None:
                self._free()
            with self.status.loading():
                self._resource = resource = self._build()
                self._taken(resource)
            self.status.loaded(resource.backend, resource.device)
        except BaseException as error:
            self._not_loaded(error)
            raise
        self._gate.settle(Phase.INACTIVE, Phase.INACTIVE.value)

    def _not_loaded(self, error: BaseException) -> None:
        """End a failed load."""
        try:
            self._free()
        except BaseException as second:
            self.status.failed(second)
        finally:
            self.status.load_failed(error)
            self._gate.settle(Phase.UNLOADED, f"{Phase.UNLOADED.value}: {error}")

    def _unload(self) -> None:
        try:
            self._free()
        finally:
            self.status.released()
            self._gate.settle(Phase.UNLOADED, Phase.UNLOADED.value)

    def _release(self) -> None:
        """Free the resource at the end of the thread."""
        try:
            if self._resource is not None:
                self._free()
        except BaseException as error:
            self.status.failed(error)
        finally:
            self.status.released()

    def _free(self) -> None:
        """Let the resource go, also if the code that frees its parts raises."""
        resource, self._resource = self._resource, None
        try:
            if resource is not None:
                self._given_up(resource)
        finally:
            del resource
            free_memory()

    def _taken(self, resource: R) -> None:
        """Take notice of a loaded resource, in the compute thread."""

    def _given_up(self, resource: R) -> None:
        """Free what the resource holds, in the compute thread."""

    def _required(self) -> R:
        if self._resource is None:
            raise NotReady(f"{self.name} {Phase.UNLOADED.value}")
        return self._resource

    def _run(self, request: Request[T], period: int) -> T:
        reason_of = request.reason_of if request.is_frame else None
        return self._measured.run(request.work, request.context(), period, reason_of)

    def _work(self, offered: tuple[int, Item]) -> None:
        """Process one item; ``MeasuredWork`` has recorded its error."""
        period, item = offered
        process = self._process
        if process is not None:
            with suppress(BaseException):
                self._measured.run(
                    lambda resource, ctx: process(resource, item, ctx), RunContext(), period, str
                )

    def _end(self) -> None:
        """Begin to end the threads, without a wait for the work in progress."""
        reason = f"{self.name} {Phase.CLOSED.value}"
        self._gate.enter(Phase.CLOSED, reason)
        self._worker.stop(reason)
        self._queue.stop()
