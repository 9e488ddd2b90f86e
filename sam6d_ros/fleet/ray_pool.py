"""Workers of a batch on the machines of a Ray cluster.

An actor that dies with its process or its machine is started again by Ray where there is room. Its
frames go to other actors; a frame during which three actors died is given up.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

from sam6d_ros.errors import BackendUnavailable, NotReady, Sam6dError
from sam6d_ros.fleet.actor import Actor, Attempt, Member, Resources
from sam6d_ros.fleet.pool import Worker
from sam6d_ros.fleet.results import FrameResult
from sam6d_ros.fleet.tasks import FrameTask
from sam6d_ros.runtime.error_table import Kind, Retry, handling_of

log = logging.getLogger(__name__)

CALLS_AHEAD = 2  # per actor: one in progress, and one so that the actor never waits for the driver
MOST_ATTEMPTS = 3  # at one frame, after errors of its machine or deaths of its actor
IDLE_S = 1.0  # longest silence of ``results``


class RayPool:
    """Actors on a cluster; ``close`` ends them.

    Args:
        ray: the connected module.
        make: makes a worker on another machine.
        resources: number and demands of the actors.

    Attributes:
        deaths: actors that died while they worked on a frame.
    """

    def __init__(
        self, ray: ModuleType, make: Callable[[], Worker], resources: Resources | None = None
    ) -> None:
        self._ray, self._resources = ray, resources or Resources()
        # A worker may be stated by a class of a script, which only this pickle carries.
        self._packed = ray.put(ray.cloudpickle.dumps(make))
        self._members = [self._started() for _ in range(self._resources.workers)]
        self._again: deque[Attempt] = deque()
        self._silent_since = time.monotonic()
        self.deaths = 0

    def close(self) -> None:
        """End the actors."""
        for member in self._members:
            self._ray.kill(member.handle)

    @property
    def working(self) -> int:
        """Number of loaded actors."""
        return sum(member.loading is None for member in self._members)

    def results(self, tasks: Iterable[FrameTask]) -> Iterator[list[FrameResult]]:
        """Work on all frames; see ``Pool``.

        Yields:
            Results, as they come.

        Raises:
            BackendUnavailable, CheckpointError: no machine can do the work.
            InvalidInput: the work itself is unusable.
            NotReady: no actor could be started.
        """
        waiting = iter(tasks)
        while self._fill(waiting):
            references = [*self._references()]
            ready, _ = self._ray.wait(references, num_returns=1, timeout=IDLE_S)
            if ready:  # and all others that are ready by now
                ready, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
            self._refuse_silence()
            yield [record for ref in self._in_order(ready) for record in self._take(ref)]

    # --- hand out

    def _started(self) -> Member:
        wanted = self._resources
        threads = str(max(1, int(wanted.cpus)))
        variables = {"NUMBA_NUM_THREADS": threads, **wanted.environment}
        options = {
            "num_cpus": wanted.cpus,
            "num_gpus": wanted.gpus,
            "max_restarts": -1,
            "max_task_retries": 0,  # frames go elsewhere, see ``_lost``
            "runtime_env": {"env_vars": variables},
        }
        handle = self._ray.remote(**options)(Actor).remote()
        return Member(handle, loading=handle.load.remote(self._packed))

    def _fill(self, waiting: Iterator[FrameTask]) -> bool:
        """Give each loaded actor frames; return whether any work is left."""
        for member in self._members:
            while member.loading is None and len(member.calls) < CALLS_AHEAD:
                attempt = self._next(member, waiting)
                if attempt is None:
                    break
                attempt.count, attempt.life = attempt.count + 1, member.lives
                packed = self._ray.cloudpickle.dumps(attempt.task)
                member.calls[member.handle.run.remote(packed)] = attempt
        if self._again or any(member.calls for member in self._members):
            return True
        if self.working:
            return False
        first = next(waiting, None)  # no actor is loaded yet: is there anything to do at all?
        if first is not None:
            self._again.append(Attempt(first))
        return first is not None

    def _next(self, member: Member, waiting: Iterator[FrameTask]) -> Attempt | None:
        """Return the next frame for an actor: one that failed elsewhere, or a new one.

        A frame at which an actor died is tried alone: the next call of the same actor, if that is
        the one that kills it, can take the answer of the frame before with it.
        """
        if any(attempt.suspect for attempt in member.calls.values()):
            return None
        alone = self.working < 2
        for attempt in self._again:
            if alone or attempt.avoid is not member:
                if attempt.suspect and member.calls:
                    return None
                self._again.remove(attempt)
                return attempt
        task = next(waiting, None)
        return None if task is None else Attempt(task)

    def _references(self) -> Iterator[Any]:
        for member in self._members:
            if member.loading is not None and member.unusable is None:
                yield member.loading
            yield from member.calls

    # --- take in

    def _in_order(self, ready: list[Any]) -> list[Any]:
        """Return references in the order of their calls: the first lost one was in progress."""
        chosen = set(ready)
        return [ref for ref in self._references() if ref in chosen]

    def _take(self, ref: Any) -> list[FrameResult]:
        """Return the result behind a reference; none if the frame is tried again."""
        member = next(m for m in self._members if ref == m.loading or ref in m.calls)
        if ref == member.loading:
            self._loaded(member)
            return []
        attempt = member.calls.pop(ref)
        errors = self._ray.exceptions
        try:
            record: FrameResult = self._ray.get(ref)
        except errors.RayTaskError as error:  # of the worker's code, beyond one frame
            record = FrameResult.failed(attempt.task.key, _cause(error))
        except errors.RayError as error:
            return self._lost(member, attempt, error)
        if record.failure is not None and self._is_tried_again(attempt, record.failure.retry):
            attempt.avoid = member
            self._again.append(attempt)
            return []
        return [record]

    def _is_tried_again(self, attempt: Attempt, rule: str) -> bool:
        most = {Retry.NEVER.value: 1, Retry.ONCE.value: 2}.get(rule, MOST_ATTEMPTS)
        return attempt.count < most

    def _lost(self, member: Member, attempt: Attempt, error: Exception) -> list[FrameResult]:
        """Take note of a frame whose actor died."""
        if attempt.life == member.lives:  # the call in progress; further ones only waited
            log.warning("a worker died at frame %s: %s", attempt.task.key, _first_line(error))
            self.deaths += 1
            attempt.suspect = True
            member.lives += 1
            member.loading = member.handle.load.remote(self._packed)
            if attempt.count >= MOST_ATTEMPTS:
                text = f"{attempt.count} workers died at this frame: {_first_line(error)}"
                return [FrameResult.failed(attempt.task.key, BackendUnavailable(text))]
            attempt.avoid = member
        else:
            attempt.count -= 1
        self._again.append(attempt)
        return []

    def _loaded(self, member: Member) -> None:
        """Take note of an actor that has loaded, or has not."""
        errors = self._ray.exceptions
        try:
            self._ray.get(member.loading)
        except errors.RayTaskError as error:
            self._cannot_load(member, _cause(error))
        except errors.ActorUnavailableError:
            member.loading = member.handle.load.remote(self._packed)
        except errors.RayError as error:  # it is not started again: replace it
            log.warning("a worker could not be started: %s", _first_line(error))
            member.handle, member.loading = (fresh := self._started()).handle, fresh.loading
            member.lives += 1
        else:
            member.loading, member.unusable = None, None
            self._silent_since = time.monotonic()

    def _cannot_load(self, member: Member, cause: BaseException) -> None:
        """Leave an actor out if its machine cannot do the work; the work itself may be wrong."""
        if not isinstance(cause, Sam6dError) or handling_of(cause).kind is not Kind.MACHINE:
            raise cause
        log.warning("a worker cannot be used: %s", cause)
        member.unusable = cause
        if all(m.unusable is not None for m in self._members):
            raise cause

    def _refuse_silence(self) -> None:
        """Stop if no actor has been loaded for too long.

        Raises:
            NotReady: with what each actor demands.
        """
        if self.working:
            self._silent_since = time.monotonic()
        elif time.monotonic() - self._silent_since > self._resources.start_s:
            wanted = self._resources
            raise NotReady(
                f"no worker started within {wanted.start_s:g} s; each needs {wanted.cpus:g} cores "
                f"and {wanted.gpus:g} GPUs, the cluster has {self._ray.cluster_resources()}"
            )


def _cause(error: Any) -> BaseException:
    """Return what the remote code raised."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, BaseException) else error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
