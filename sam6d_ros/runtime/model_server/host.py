"""Host of one model of a model server: its worker, queue, batches, buffers and statistics."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from enum import Enum

from sam6d_ros.detectors.model import INFERENCE, no_measure
from sam6d_ros.errors import NotReady
from sam6d_ros.pipeline import RunContext
from sam6d_ros.runtime.deadlines import Deadlines
from sam6d_ros.runtime.model_server.batching import OF_THE_MODEL, Entry, MicroBatcher
from sam6d_ros.runtime.model_server.frame_model import FrameAnswer, FrameInput, FrameModel
from sam6d_ros.runtime.model_server.spec import ModelSpec
from sam6d_ros.runtime.model_server.stats import ModelFigures, ModelStats, PhaseTimes
from sam6d_ros.runtime.request import NO_DEADLINE, QUEUED, Request
from sam6d_ros.runtime.resource_host import ResourceHost
from sam6d_ros.runtime.states import Phase, State

_LOG = logging.getLogger(__name__)
Opener = Callable[[ModelSpec], FrameModel]


class ModelState(Enum):
    """State of a model; the value is the text that clients get."""

    LOADING = "loading"
    READY = "ready"
    LOAD_FAILED = "loading failed"
    FAILED = "failed on the last image"
    HANGS = "does not answer"
    DRAINING = "draining"
    UNLOADED = "unloaded"
    EVICTED = "evicted"


_STATES = {
    State.UNCONFIGURED: ModelState.UNLOADED,
    State.INACTIVE: ModelState.LOADING,
    State.LOADING: ModelState.LOADING,
    State.LOAD_FAILED: ModelState.LOAD_FAILED,
    State.FAILED: ModelState.FAILED,
    State.DRAINING: ModelState.DRAINING,
}


@dataclass(frozen=True)
class ModelReport:
    """State of one model at one moment.

    Attributes:
        spec: its settings.
        state: what it does; loaded models take requests, the others refuse them.
        reason: of a failure, with the remedy; or empty.
        backend, device: that it runs on; empty while it is not loaded.
        labels: names that its answers may hold.
        memory_bytes: that its load took, host and device; an estimate.
        waiting, rejected: requests in the queue, and requests refused because it was full.
        figures: counts and times.
    """

    spec: ModelSpec
    state: ModelState
    reason: str
    backend: str
    device: str
    labels: tuple[str, ...]
    memory_bytes: int
    waiting: int
    rejected: int
    figures: ModelFigures


class ModelHost(ResourceHost[FrameModel, None]):
    """Model in a thread of its own, with a bounded queue and micro-batches.

    Args:
        spec: settings.
        open_model: loads the model, in the compute thread.
        loading: context of a load, given the host; raises to refuse it.
        deadlines: timer of the requests (default: one of the host's own).
        clock: seconds that never jump.

    Attributes:
        stats: counts and times of its calls.
        memory_bytes: memory that the last load took.
        last_used: time of the last request by the clock.
    """

    def __init__(
        self,
        spec: ModelSpec,
        open_model: Opener,
        loading: Callable[[ModelHost], AbstractContextManager[object]] = nullcontext,
        deadlines: Deadlines | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.spec, self.stats = spec, ModelStats(clock)
        self.memory_bytes, self.last_used = 0, clock()
        self._open_model, self._loading, self._clock = open_model, loading, clock
        self._labels: tuple[str, ...] = ()
        self._busy_since: float | None = None
        delay_s = spec.max_delay_ms / 1e3
        self._batcher: MicroBatcher[FrameInput, FrameAnswer] = MicroBatcher(
            spec.batch_limit, delay_s, clock
        )
        super().__init__(
            self._opened,
            capacity=spec.capacity,
            name=f"model '{spec.name}'",
            deadlines=deadlines,
            clock=clock,
        )
        self.status.serves_on_demand(True)

    # --- clients

    def ask(
        self, item: FrameInput, timeout_s: float | None = None, request_id: str = ""
    ) -> Future[FrameAnswer]:
        """Queue an image; see ``RequestQueue.submit`` for the future.

        Args:
            item: the image.
            timeout_s: longest time until the answer (default: that of the spec).
            request_id: for logs.

        Returns:
            A future with the answer.
        """
        self.last_used = self._clock()
        entry = self._batcher.arrive(item)
        request = Request(
            lambda _, ctx: self._answer(entry, ctx),
            self.last_used + (self.spec.timeout_s if timeout_s is None else timeout_s),
            request_id=request_id,
            clock=self._clock,
        )
        future = self.submit(request)
        if not future.done():
            self._batcher.enter(entry)
        future.add_done_callback(lambda _: self._batcher.leave(entry))
        return future

    def warm_up(self, runs: int, timeout_s: float | None = None) -> Future[float]:
        """Run the model several times.

        It takes its turn in the queue as an image does.

        Args:
            runs: number of runs.
            timeout_s: time until the request expires, seconds; None for no limit.

        Returns:
            A future with the seconds of the last run.
        """
        deadline = NO_DEADLINE if timeout_s is None else self._clock() + timeout_s
        request = Request(
            lambda _, ctx: self._warm(runs, ctx), deadline, is_frame=False, clock=self._clock
        )
        return self.submit(request)

    def report(self) -> ModelReport:
        """Return the state of this moment."""
        status, counts = self.status.snapshot(), self.counts
        state = _STATES.get(status.state, ModelState.READY)
        reason = status.last_error if state in (ModelState.LOAD_FAILED, ModelState.FAILED) else ""
        busy_s = 0.0 if self._busy_since is None else self._clock() - self._busy_since
        if busy_s > self.spec.timeout_s:
            state = ModelState.HANGS
            reason = f"a call has taken {busy_s:.0f} s; `timeout_s` is {self.spec.timeout_s:g}"
        return ModelReport(
            self.spec,
            state,
            reason,
            status.backend,
            status.device,
            self._labels,
            self.memory_bytes,
            counts.waiting,
            counts.rejected,
            self.stats.figures(),
        )

    # --- life

    def shut(self, drain_s: float, patience_s: float) -> bool:
        """Finish what waits, free the model and end the thread.

        Args:
            drain_s: time for the requests that wait; the rest fails with ``NotReady``.
            patience_s: time for the work in progress and for freeing the model.

        Returns:
            Whether the thread has ended; if not, it frees the model when it comes to it.
        """
        if self.active:
            self.drain(drain_s)
        self.release()
        return self.join(patience_s)

    def release(self) -> None:
        """Free the model after the call in progress and end the thread; do not wait for that."""
        freed = self.unload(f"{self.name} was unloaded")
        freed.add_done_callback(lambda _: self._end())

    def join(self, patience_s: float) -> bool:
        """Wait for the end of the thread after ``release``.

        Args:
            patience_s: longest wait, seconds.

        Returns:
            Whether it came in time.
        """
        return self._worker.join(patience_s)

    # --- in the compute thread

    def _opened(self) -> FrameModel:
        model: FrameModel | None = None
        try:
            with self._loading(self):
                model = self._open_model(self.spec)
                self._check_wanted()
                for _ in range(self.spec.warm_up_runs):
                    model.warm_up()
                    self._check_wanted()
        except BaseException:
            if model is not None:
                model.close()
            raise
        self.stats = ModelStats(self._clock)
        return model

    def _check_wanted(self) -> None:
        """Give up a load that is not needed any more."""
        if self._phase in (Phase.UNLOADED, Phase.CLOSED):
            raise NotReady(f"{self.name} was unloaded while it was loading")

    def _taken(self, resource: FrameModel) -> None:
        self._labels = resource.labels
        _LOG.info(
            "loaded %s: %s on %s, %.0f MiB",
            self.name,
            resource.backend,
            resource.device,
            self.memory_bytes / (1 << 20),
        )
        self._batcher.max_batch = max(min(self.spec.batch_limit, resource.max_batch), 1)

    def _given_up(self, resource: FrameModel) -> None:
        self.memory_bytes = 0
        resource.close()

    def _warm(self, runs: int, ctx: RunContext) -> float:
        model, seconds = self._required(), 0.0
        for _ in range(runs):
            ctx.checkpoint()
            start = time.perf_counter()
            model.warm_up()
            seconds = time.perf_counter() - start
        return seconds

    def _answer(self, entry: Entry[FrameInput, FrameAnswer], ctx: RunContext) -> FrameAnswer:
        ctx.on_stage(INFERENCE)
        answer = self._batcher.answer(entry, self._do_batch)
        return replace(answer, seconds={QUEUED: entry.waited_s, **answer.seconds})

    def _do_batch(self, items: Sequence[FrameInput]) -> list[FrameAnswer | Exception]:
        """Do a batch and record it; a batch that is repeated image by image is not recorded."""
        times, self._busy_since = PhaseTimes(), self._clock()
        measure = times.measure if self.spec.metrics else no_measure
        try:
            outcomes = self._required().serve(items, measure)
        except Exception as error:
            if len(items) == 1 or isinstance(error, OF_THE_MODEL):
                self.stats.record(times.seconds, 0, len(items))
            raise
        finally:
            self._busy_since = None
        failed = sum(isinstance(outcome, Exception) for outcome in outcomes)
        self.stats.record(times.seconds, len(outcomes) - failed, failed)
        return [
            outcome
            if isinstance(outcome, Exception)
            else replace(outcome, seconds=dict(times.seconds))
            for outcome in outcomes
        ]
