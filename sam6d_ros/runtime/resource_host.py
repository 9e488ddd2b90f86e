"""Life of a resource in one compute thread: load, serve requests and items, reload, free.

`host.Host` serves an engine by it, `model_host.ModelHost` a model of the model server.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, Generic, Protocol, TypeVar

from sam6d_ros.errors import NotReady
from sam6d_ros.pipeline import RunContext
from sam6d_ros.runtime.admission import DEFAULT_CAPACITY, Admission
from sam6d_ros.runtime.deadlines import Deadlines
from sam6d_ros.runtime.engine_host import HostCounts
from sam6d_ros.runtime.memory import free_memory
from sam6d_ros.runtime.request import Request
from sam6d_ros.runtime.request_queue import RequestQueue
from sam6d_ros.runtime.states import WORKING, Phase
from sam6d_ros.runtime.status import HostStatus
from sam6d_ros.runtime.worker import Worker


class Resource(Protocol):
    """Loaded thing that requests are served with."""

    @property
    def backend(self) -> str:
        """Name of the library or method that it runs on."""

    @property
    def device(self) -> str:
        """Device that it runs on."""


R = TypeVar("R", bound=Resource)
Item = TypeVar("Item")
T = TypeVar("T")

TOTAL = "total"  # key of the timings


# (resource, item, context) → why the result is empty, or nothing
Process = Callable[[R, Item, RunContext], str]


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
        self._lock = threading.Lock()
        self._phase, self._resume = Phase.UNLOADED, False
        self._worker: Worker[Item] = Worker(name, self._work)
        self._queue = RequestQueue(self._worker, Admission(name, capacity, clock), deadlines)
        self._queue.admission.refuse(Phase.UNLOADED.value)

    # --- state

    @property
    def loaded(self) -> bool:
        """Whether there is a resource."""
        return self._resource is not None

    @property
    def active(self) -> bool:
        """Whether requests and items are served."""
        return self._phase is Phase.ACTIVE

    @property
    def counts(self) -> HostCounts:
        """Requests and items that wait, were dropped or refused."""
        admission, worker = self._queue.admission, self._worker
        return HostCounts(admission.waiting, admission.rejected, worker.dropped, worker.refused)

    # --- life of the resource

    def load(self) -> Future[None]:
        """Load, in place of the present resource once the requests that wait are done."""
        self._enter(Phase.LOADING)
        return self._worker.call(self._load)

    def reload(self) -> Future[None]:
        """Load as ``load`` does, and serve again afterwards if the host served."""
        self._enter(Phase.LOADING, keep_serving=True)
        return self._worker.call(self._load)

    def activate(self) -> None:
        """Serve requests and items from now on.

        Raises:
            NotReady: nothing is loaded.
        """
        with self._lock:
            if self._resource is None or self._phase in (Phase.LOADING, Phase.CLOSED):
                raise NotReady(f"{self.name} {self._phase.value}")
            self._serve()

    def deactivate(self, reason: str = "deactivated") -> None:
        """Serve no longer; what waits or runs fails with ``NotReady`` and this reason."""
        entered = self._enter(None)
        self._worker.interrupt(reason)
        if entered is Phase.INACTIVE:
            self.status.deactivated()

    def unload(self, reason: str = "unloaded") -> Future[None]:
        """Free the resource after the work in progress; the rest as ``deactivate``."""
        self._enter(Phase.UNLOADED)
        self._worker.interrupt(reason)
        return self._worker.call(self._unload)

    def drain(self, timeout_s: float) -> bool:
        """Refuse new requests; wait for those that wait or run, then fail the rest.

        Returns:
            Whether all of them were finished within the timeout.
        """
        if self.active:
            self.status.draining()
        self._enter(Phase.DRAINING)
        finished = self._queue.admission.wait_until_empty(timeout_s)
        if not finished:
            self._worker.interrupt(f"{self.name} was drained before the request was finished")
        return finished

    def close(self, timeout_s: float = 0.0) -> bool:
        """End the threads after the work in progress; what waits or runs fails with ``NotReady``.

        Args:
            timeout_s: time to wait for the compute thread.

        Returns:
            Whether the compute thread has ended.
        """
        self._end()
        return self._worker.join(timeout_s)

    # --- work

    def submit(self, request: Request[T]) -> Future[T]:
        """Queue a request; it runs after those that came before it.

        See ``RequestQueue.submit`` for the future.
        """
        return self._queue.submit(request, lambda: self._run(request), self.status.failed)

    def offer(self, item: Item) -> bool:
        """Leave the newest item; False and counted as refused if the host does not serve."""
        return self._worker.offer(item)

    # --- in the compute thread

    def _load(self) -> None:
        self._enter(Phase.LOADING, keep_serving=True)
        if self._resource is not None:
            self._free()
        self.status.loading()
        try:
            self._resource = resource = self._build()
            self._taken(resource)
        except BaseException as error:
            self._free()
            self.status.load_failed(error)
            self._settle(Phase.UNLOADED, f"{Phase.UNLOADED.value}: {error}")
            raise
        self.status.loaded(resource.backend, resource.device)
        self._settle(Phase.INACTIVE, Phase.INACTIVE.value)

    def _unload(self) -> None:
        self._free()
        self.status.released()
        self._settle(Phase.UNLOADED, Phase.UNLOADED.value)

    def _free(self) -> None:
        if self._resource is not None:
            resource, self._resource = self._resource, None
            self._given_up(resource)
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

    def _run(self, request: Request[T]) -> T:
        if self._phase not in WORKING:
            raise NotReady(f"{self.name} {self._phase.value}")
        reason_of = request.reason_of if request.is_frame else None
        return self._measured(request.work, request.context(), reason_of)

    def _work(self, item: Item) -> None:
        """Process one item; ``_measured`` has recorded its error."""
        process = self._process
        if process is not None:
            with suppress(BaseException):
                self._measured(
                    lambda resource, ctx: process(resource, item, ctx), RunContext(), str
                )

    def _measured(
        self,
        work: Callable[[Any, RunContext], T],
        ctx: RunContext,
        reason_of: Callable[[T], str] | None,
    ) -> T:
        """Run work, timed; record a frame (``reason_of``) while the host serves."""
        try:
            with self._turn, self.status.working(), ctx.timings.measure(TOTAL):
                result = work(self._required(), ctx)
        except BaseException as error:
            if self._phase in WORKING:
                self.status.failed(error)
            raise
        if reason_of is not None and self._phase in WORKING:
            self.status.processed(ctx.timings.seconds, reason_of(result))
        return result

    # --- phases

    def _end(self) -> None:
        """End the threads after the work in progress, without a wait for it."""
        self._enter(Phase.CLOSED)
        self._worker.stop(f"{self.name} {Phase.CLOSED.value}")
        self._queue.stop()

    def _enter(self, phase: Phase | None, keep_serving: bool = False) -> Phase:
        """Stop serving for another phase; from ``CLOSED`` there is no way back.

        Args:
            phase: the phase; None is the one without service. A load goes on, and ends in it.
            keep_serving: serve again after the phase if the host served, or was to serve again.
        """
        with self._lock:
            if self._phase is not Phase.CLOSED:
                self._resume = keep_serving and (self._resume or self._phase is Phase.ACTIVE)
                self._phase = phase or self._idle_phase()
            self._queue.admission.refuse(self._phase.value)
            self._worker.close()
            return self._phase

    def _idle_phase(self) -> Phase:
        if self._phase is Phase.LOADING:
            return Phase.LOADING
        return Phase.UNLOADED if self._resource is None else Phase.INACTIVE

    def _settle(self, phase: Phase, refusal: str) -> None:
        """Enter the phase that a load or unload ends in; serve if a reload is to do so."""
        with self._lock:
            if self._phase is Phase.CLOSED:
                return
            self._phase = phase
            self._queue.admission.refuse(refusal)
            self._worker.close()
            if self._resume and phase is Phase.INACTIVE:
                self._serve()

    def _serve(self) -> None:
        self.status.activated()
        self._phase = Phase.ACTIVE
        self._queue.admission.open()
        self._worker.open()
