"""State of one server process: engine host, objects, threads, metrics; shared by its services."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import Any, Protocol, TypeVar

from fastapi import Request as HttpRequest

from sam6d_ros.apps.http.limits import Roots
from sam6d_ros.apps.http.metrics import HostCollector, Metrics
from sam6d_ros.apps.http.objects.catalogue import Catalogue
from sam6d_ros.apps.http.objects.grasps import Grasps
from sam6d_ros.apps.http.objects.store import ObjectStore
from sam6d_ros.apps.http.sample import Sample
from sam6d_ros.apps.http.settings import ENGINE_ROLES, ServerSettings
from sam6d_ros.apps.http.tracking.sessions import Sessions
from sam6d_ros.apps.http.waiting import result_for
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.object_entry import ObjectEntry
from sam6d_ros.errors import Cancelled, DeadlineExceeded, NotReady
from sam6d_ros.pipeline import RunContext
from sam6d_ros.runtime.build import EngineSpec, build_engine
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.host import Host
from sam6d_ros.runtime.request import QUEUED, Request
from sam6d_ros.runtime.states import State
from sam6d_ros.stages.backends import find_backend

log = logging.getLogger(__name__)
T = TypeVar("T")
# stages of a request before and after its work
PREPARE, ANSWER = "prepare", "answer"
CONVERTERS = 2  # threads that decode and encode
DRAIN_S = 10.0
CLOSE_S = 5.0


class Sharing(Protocol):
    """Other replicas of the services, which have the same uploaded objects."""

    async def put(self, model: ObjectModel, entry: ObjectEntry) -> None:
        """Send them an object; raise ``NotReady`` if that is impossible."""

    async def drop(self, name: str) -> None:
        """Remove an object from them; raise ``NotReady`` if that is impossible."""


class Services:
    """State that the routes of a server share.

    Args:
        settings: of the server.
        build: makes the engine (default: from the settings); raises if that is impossible.
        clock: seconds that never jump, for the expiry of sessions.
    """

    def __init__(
        self,
        settings: ServerSettings,
        build: Callable[[], Engine] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings, self.started = settings, time.monotonic()
        self.store = ObjectStore(settings.data_dir, settings.limits, settings.cache_dir)
        self.sample = Sample(settings.cache_dir)
        self.roots = Roots.of(settings.roots, (*settings.read_roots, self.sample.folder))
        self.host: Host[Any] = Host(
            build or self._build, capacity=settings.limits.queue, name="the engine"
        )
        self.metrics = Metrics(
            HostCollector(
                lambda: self.host.counts, lambda: not self.obstacle(), lambda: len(self.sessions)
            )
        )
        self._threads = ThreadPoolExecutor(CONVERTERS, "convert")
        self.catalogue = Catalogue(self.host, settings, self.roots, self.convert)
        self.sessions = Sessions(settings.limits, lambda: self.host.objects.models, clock)
        self.grasps = Grasps(settings.cache_dir)
        self.changing = asyncio.Lock()  # of the uploaded objects
        self.running: dict[str, Request[Any]] = {}
        self._users = 0
        self.loading: Future[None] = Future()  # of the engine, once it has begun
        # on a fleet: a problem that leaves it working, with whom uploads are shared, and the
        # replicas in each state
        self.notice = ""
        self.sharing: Sharing | None = None
        self.replicas: Callable[[], dict[str, int]] | None = None

    # --- life

    async def open(self) -> None:
        """Begin to load the engine; a failure leaves the server up, with the reason."""
        self._users += 1
        if self._users == 1:
            self.loading = self.host.load()
            self.loading.add_done_callback(self._loaded)

    async def close(self) -> None:
        """Finish what waits, then end the threads, once all services are closed."""
        self._users -= 1
        if self._users:
            return
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, partial(self.host.drain, DRAIN_S))
        await loop.run_in_executor(None, partial(self.host.close, CLOSE_S))
        self._threads.shutdown(wait=False, cancel_futures=True)

    def interrupt(self) -> None:
        """Do nothing: all answers of these services have an end."""

    def obstacle(self) -> str:
        """Return why requests are not served now; empty if they are."""
        if self.host.active:
            return ""
        error = self.host.status.snapshot().last_error
        return f"{self.state}: {error}" if error else self.state

    @property
    def state(self) -> str:
        """Sentence on the state of the engine that is not ready."""
        return f"the engine is not ready ({self.host.status.snapshot().state.value})"

    @property
    def num_templates(self) -> int:
        """Number of prepared objects times the views of each."""
        name = self.host.status.snapshot().backend
        if not name:
            return 0
        return len(self.host.objects.models) * find_backend(name).views(self.settings.config)

    # --- work

    async def convert(self, function: Callable[..., T], *args: Any) -> T:
        """Run a conversion in a thread of its own kind."""
        call = partial(copy_context().run, function, *args)  # keeps the request id of log lines
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def prepare(self, function: Callable[..., T], *args: Any) -> T:
        """Decode the input of a request in a thread, unless the queue has filled meanwhile.

        Returns:
            Result of the function.

        Raises:
            NotReady, Overloaded: see ``check_room``.
        """

        def prepared() -> T:
            self.check_room()
            return function(*args)

        return await self.convert(prepared)

    async def run(
        self,
        http: HttpRequest,
        work: Callable[[Engine, RunContext], T],
        timeout_s: float | None = None,
        reason_of: Callable[[T], str] | None = None,
    ) -> T:
        """Run work with the engine after the requests before it.

        Args:
            http: the request that it is for; if its client leaves, the work is cancelled.
            timeout_s: seconds from the arrival of the request to the result, bounded by the
                settings; what came before counts.
            reason_of: reads from a result why it is empty.
            work: called with the engine in its compute thread.

        Returns:
            Result of the work.

        Raises:
            Overloaded, NotReady: the request is not admitted.
            DeadlineExceeded: the result did not come in time.
            Cancelled: the client left.
        """
        self.check_ready()
        start, waited_s = time.monotonic(), list[float]()
        deadline = start + self.left_of(http, timeout_s)
        request_id = http.state.request_id

        def begun(engine: Engine, ctx: RunContext) -> T:
            waited_s.append(time.monotonic() - start)
            return work(engine, ctx)

        job = Request(
            begun,
            deadline,
            reason_of=reason_of,
            request_id=request_id,
            arrived=http.state.arrived,
        )
        self.running[request_id] = job
        try:
            return await result_for(http, self.host.submit(job), job.cancel)
        except (Cancelled, DeadlineExceeded):
            waited_s.append(time.monotonic() - start)  # counts if the work never began
            raise
        finally:
            self.running.pop(request_id, None)
            http.state.stage = ANSWER
            if waited_s:
                self.metrics.stages({QUEUED: waited_s[0]})

    def left_of(self, http: HttpRequest, wanted_s: float | None) -> float:
        """Return the seconds that a request may still take, by its arrival.

        Args:
            wanted_s: what the request states; the settings bound it.
            http: the request.

        Raises:
            DeadlineExceeded: none are left.
        """
        most = self.settings.limits.deadline_s
        allowed = most if wanted_s is None else min(wanted_s, most)
        left = allowed - (time.monotonic() - http.state.arrived)
        if left <= 0:
            raise DeadlineExceeded(
                f"no result within the timeout of {allowed:g} s; the time went into reading the "
                "request and preparing its object"
            )
        return left

    def check_ready(self) -> None:
        """Refuse work while the engine does not serve.

        Raises:
            NotReady: with the reason.
        """
        if obstacle := self.obstacle():
            raise NotReady(obstacle)

    def check_room(self) -> None:
        """Refuse a request on its arrival, before its images are decoded.

        Raises:
            NotReady: with the reason.
            Overloaded: the queue is full.
        """
        self.check_ready()
        self.host.check_room()

    # --- in the compute thread

    def _build(self) -> Engine:
        settings = self.settings
        spec = EngineSpec(
            settings.config,
            settings.cache_dir,
            ENGINE_ROLES[settings.role],
            self.store.restore(),
            settings.objects_file,
        )
        return build_engine(spec)

    def _loaded(self, loading: Future[None]) -> None:
        if not loading.cancelled() and loading.exception() is None:
            with suppress(NotReady):  # closed meanwhile
                self.host.activate()
                log.info("ready: objects: %s", ", ".join(self.host.objects.models) or "none")

    @property
    def draining(self) -> bool:
        """Whether the server ends."""
        return self.host.status.snapshot().state is State.DRAINING


def services_of(http: HttpRequest) -> Services:
    """Return the services of the application that serves a request."""
    services: Services = http.app.state.services
    return services
