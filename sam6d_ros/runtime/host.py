"""Host of an engine: loads it, serves requests and newest items with it, reloads and frees it.

One compute thread owns the engine; every method of a host may be called from any thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import replace

from sam6d_ros.runtime.admission import DEFAULT_CAPACITY, Admission
from sam6d_ros.runtime.deadlines import Deadlines
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.objects import (
    ObjectChange,
    ObjectSet,
    apply_onboarded,
    onboard_change,
)
from sam6d_ros.runtime.request import Request
from sam6d_ros.runtime.request_queue import RequestQueue
from sam6d_ros.runtime.resource import Item, Process
from sam6d_ros.runtime.resource_host import ResourceHost
from sam6d_ros.runtime.status import HostStatus

# Changes that wait for the compute thread. A launch file may add many objects at once.
MAX_WAITING_CHANGES = 64


class Host(ResourceHost[Engine, Item]):
    """``EngineHost`` with the engine in one thread of this process; see ``ResourceHost``.

    Args:
        build: makes the engine, in the compute thread; raises if that is impossible.
        process: called in the compute thread with each item of ``offer``.
        status: record of events (default: a new one); only the host reports load and work to it.
        capacity: most requests that wait.
        name: of the host and its threads.
        on_objects: called in the compute thread with the objects after each load, change and
            unload. Its error fails a load, and frees the engine; other errors are recorded only.
        deadlines: timer for the deadlines of requests.
        turn: held while the engine is used (default: nothing); hosts that share an engine share it.
        clock: seconds that never jump.
    """

    def __init__(  # noqa: PLR0913  (keywords with defaults)
        self,
        build: Callable[[], Engine],
        process: Process[Engine, Item] | None = None,
        status: HostStatus | None = None,
        *,
        capacity: int = DEFAULT_CAPACITY,
        name: str = "engine",
        on_objects: Callable[[ObjectSet], None] | None = None,
        deadlines: Deadlines | None = None,
        turn: AbstractContextManager[object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_objects = on_objects or (lambda _: None)
        self._objects = ObjectSet()
        super().__init__(
            build,
            process,
            status,
            capacity=capacity,
            name=name,
            deadlines=deadlines,
            turn=turn,
            clock=clock,
        )
        waiting = Admission(f"the objects of {name}", MAX_WAITING_CHANGES, clock)
        self._changes = RequestQueue(self._worker, waiting, deadlines)

    @property
    def objects(self) -> ObjectSet:
        """The objects that the engine looks for, as of the last load or change."""
        return self._objects

    @property
    def backend(self) -> str:
        """Backend of the engine; empty without one."""
        engine = self._resource
        return "" if engine is None else engine.backend

    def change(self, change: ObjectChange) -> Future[ObjectSet]:
        """Change the objects of a loaded engine, as a whole or not at all.

        New objects are onboarded before the turn is taken, so that hosts of the same engine work
        on meanwhile. The future fails with ``Overloaded`` if ``MAX_WAITING_CHANGES`` wait.

        Args:
            change: objects to add, replace or remove.

        Returns:
            A future with the objects in force.
        """
        request: Request[ObjectSet] = Request(_no_work)  # neither a deadline nor a client
        return self._changes.submit(request, lambda: self._change(change), self.status.failed)

    # --- in the compute thread

    def _taken(self, resource: Engine) -> None:
        self._objects = ObjectSet.of(resource)
        self._on_objects(self._objects)  # its error fails the load

    def _given_up(self, resource: Engine) -> None:
        self._report(ObjectSet())

    def _change(self, change: ObjectChange) -> ObjectSet:
        engine = self._required()
        with self.status.working(loading=True):
            onboarded = onboard_change(engine, change)
            with self._turn:
                objects = apply_onboarded(engine, onboarded)
        source = change.source if change.replace_all else self._objects.source
        self._report(replace(objects, source=source))
        return self._objects

    def _report(self, objects: ObjectSet) -> None:
        """Take the objects; an error of the listener undoes nothing, and is recorded."""
        self._objects = objects
        try:
            self._on_objects(objects)
        except BaseException as error:
            self.status.failed(error)


def _no_work(*_: object) -> ObjectSet:
    """Stand for the work of a change, which ``Host`` does."""
    return ObjectSet()
