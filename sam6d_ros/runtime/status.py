"""Status of a host: the only writer of its state, its last error and its input problem."""

from __future__ import annotations

import logging
import math
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from sam6d_ros.runtime.error_table import Kind, handling_of
from sam6d_ros.runtime.results import ResultRecord
from sam6d_ros.runtime.states import State
from sam6d_ros.runtime.stats import FrameStats, Snapshot
from sam6d_ros.runtime.work_watch import WorkWatch

THROTTLE_S = 5.0
STALE_AFTER_S = 5.0
MAX_LOG_KEYS = 256
# Texts may repeat names from messages, of any length; diagnostics are published every second.
MAX_TEXT = 2000
MAX_LOG_TEXT = 20_000  # with a traceback
_SERVING = (State.RUNNING, State.BAD_INPUT, State.FAILED)

# (level of ``logging``, text); the shell passes it on to its own log.
Log = Callable[[int, str], None]


@dataclass(frozen=True)
class StatusSnapshot:
    """Status at one moment.

    Attributes:
        state: ``WAITING`` or ``IDLE`` in place of ``RUNNING`` if no frame was processed recently.
        backend, device: of the loaded engine; empty without one.
        last_error: type and message; empty once a later frame was processed.
        input_problem: missing or unusable input, with its remedy; or empty.
        empty_reason: reason of the last empty result, or empty.
        tracked_objects: number of tracks.
        figures: rates, ages and counts.
        found: instances and scores of the newest result.
        found_s_ago: since the last result with an object, seconds; infinite without one.
        on_demand: whether frames are processed only on request.
    """

    state: State
    backend: str
    device: str
    last_error: str
    input_problem: str
    empty_reason: str
    tracked_objects: int
    figures: Snapshot
    found: str = ""
    found_s_ago: float = math.inf
    on_demand: bool = False


@dataclass(frozen=True)
class _Record:
    state: State = State.UNCONFIGURED
    backend: str = ""
    device: str = ""
    last_error: str = ""
    input_problem: str = ""
    empty_reason: str = ""
    tracked_objects: int = 0
    on_demand: bool = False


class HostStatus:
    """Record of the events of a host; every method may be called from any thread.

    Args:
        name: of the host, in messages and diagnostics.
        log: destination of log lines (default: ``logging``).
        clock: seconds that never jump.
        watch: of work in progress (default: one that finds nothing stuck).

    Attributes:
        stats: counts and times of frames.
        results: the newest result.
    """

    def __init__(
        self,
        name: str,
        log: Log | None = None,
        clock: Callable[[], float] = time.monotonic,
        watch: WorkWatch | None = None,
    ) -> None:
        self.name, self.stats = name, FrameStats(clock)
        self._log = log or logging.getLogger(f"{__name__}.{name}").log
        self.results = ResultRecord(lambda level, text: self._log(level, text), clock)
        self._clock, self._watch = clock, watch or WorkWatch()
        self._lock = threading.Lock()
        self._record = _Record()
        self._logged: dict[str, float] = {}

    def snapshot(self) -> StatusSnapshot:
        """Return the status of this moment."""
        figures = self.stats.snapshot()
        with self._lock:
            record, working = self._record, self._watch.busy
        state, stuck = record.state, self.stuck()
        if stuck and state in (*_SERVING, State.LOADING):
            state, record = State.STUCK, replace(record, last_error=stuck)
        if state is State.RUNNING and not working and figures.idle_s >= STALE_AFTER_S:
            state = State.IDLE if record.on_demand else State.WAITING
        return StatusSnapshot(
            state,
            record.backend,
            record.device,
            record.last_error,
            record.input_problem,
            record.empty_reason,
            record.tracked_objects,
            figures,
            self.results.summary,
            self.results.found_s_ago,
            record.on_demand,
        )

    # --- events of the life of an engine

    def loading(self) -> AbstractContextManager[None]:
        """Record that an engine is being loaded.

        Returns:
            Context in which the load is watched.
        """
        self._set(state=State.LOADING, last_error="")
        return self.working(loading=True)

    def loaded(self, backend: str, device: str) -> None:
        """Record that an engine is loaded; ``activated`` follows before it serves.

        Args:
            backend: name of the backend.
            device: such as "cpu" or "cuda:0".
        """
        self._set(state=State.INACTIVE, last_error="", backend=backend, device=device)

    def load_failed(self, error: BaseException) -> None:
        """Record that no engine could be loaded, and log the error.

        Args:
            error: the cause.
        """
        text = self._text(error)
        self._set(state=State.LOAD_FAILED, last_error=_short(error))
        # Each failed load is logged: it is rare, and its reasons differ.
        given_up = handling_of(error).kind is Kind.LATER  # unloaded meanwhile, by a wish
        self.log(logging.INFO if given_up else logging.ERROR, text, key=text)

    def activated(self) -> None:
        """Record that the host serves from now on; counts begin anew."""
        self.stats.restart()
        self.results.restart()
        self._set(state=State.RUNNING, last_error="", empty_reason="", tracked_objects=0)

    def draining(self) -> None:
        """Record that the host takes nothing new and finishes what it has."""
        self._set(state=State.DRAINING)

    def deactivated(self) -> None:
        """Record that the host is loaded and does not serve."""
        self._set(state=State.INACTIVE, input_problem="", tracked_objects=0)

    def released(self) -> None:
        """Record that there is no engine any more; the last error stays visible."""
        self._set(state=State.UNCONFIGURED, backend="", device="", empty_reason="")

    # --- events of work

    def working(self, loading: bool = False) -> AbstractContextManager[None]:
        """Mark work in progress: the host is not idle meanwhile.

        Args:
            loading: whether it loads, or changes the objects, which may take longer.

        Returns:
            Context of the work.
        """
        return self._watch.working(loading)

    def stuck(self) -> str:
        """Return that work in progress takes too long, with its limit; empty otherwise."""
        return self._watch.stuck()

    def processed(self, timings_s: Mapping[str, float], reason: str = "") -> None:
        """Record a processed frame.

        Args:
            timings_s: seconds of each stage.
            reason: why the result is empty, or empty.
        """
        reason = _cut(reason)
        self.stats.process(timings_s)
        self._work_done(State.RUNNING, last_error="", empty_reason=reason)
        if reason:
            self.log(logging.INFO, f"nothing found: {reason}", key="empty")

    def failed(self, error: BaseException) -> None:
        """Record and log an error of work by the table; the host serves on.

        Args:
            error: the cause.
        """
        handling = handling_of(error)
        if handling.kind not in (Kind.LATER, Kind.GIVEN_UP):
            self.stats.fail()
            self._work_done(handling.state, last_error=_short(error))
        self.log_error(error)

    def input_problem(self, problem: str) -> None:
        """Record missing or unusable input with its remedy; "" once it is usable.

        Args:
            problem: text for people.
        """
        self._set(input_problem=_cut(problem))

    def serves_on_demand(self, on_demand: bool) -> None:
        """Record whether frames are processed only on request: then idle is no problem.

        Args:
            on_demand: True if frames are processed on request only.
        """
        self._set(on_demand=on_demand)

    def tracking(self, tracked_objects: int) -> None:
        """Record the number of tracks.

        Args:
            tracked_objects: number of tracks.
        """
        self._set(tracked_objects=tracked_objects)

    # --- log

    def log(self, level: int, text: str, key: str, every_s: float = THROTTLE_S) -> None:
        """Log a line, but at most once per ``every_s`` for one key.

        Args:
            level: of ``logging``.
            text: the line; a long one is cut.
            key: lines of one key share the limit.
            every_s: shortest time between two lines of a key, seconds.
        """
        key = key[:MAX_TEXT]
        with self._lock:
            now = self._clock()
            if key in self._logged and now - self._logged[key] < every_s:
                return
            while len(self._logged) >= MAX_LOG_KEYS:
                del self._logged[next(iter(self._logged))]
            self._logged[key] = now
        self._log(level, _cut(text, MAX_LOG_TEXT))

    def log_error(self, error: BaseException, about: str = "") -> None:
        """Log an error by the table, at most once per ``THROTTLE_S`` for one type of error.

        Args:
            error: the error.
            about: work that failed, for the text.
        """
        text = f"{about}: {self._text(error)}" if about else self._text(error)
        self.log(handling_of(error).severity, text, key=type(error).__name__)

    def _text(self, error: BaseException) -> str:
        """Return the log text of an error, with the traceback of a defect."""
        if not handling_of(error).with_traceback:
            return _short(error)
        return f"{_short(error)}\n" + "".join(traceback.format_exception(error))

    def _work_done(self, state: State | None, **changes: object) -> None:
        """Change the state only while the host serves: late work must not revive it."""
        with self._lock:
            if state is not None and self._record.state in _SERVING:
                changes["state"] = state
            self._record = replace(self._record, **changes)  # type: ignore[arg-type]

    def _set(self, **changes: object) -> None:
        with self._lock:
            self._record = replace(self._record, **changes)  # type: ignore[arg-type]


def _short(error: BaseException) -> str:
    return _cut(f"{type(error).__name__}: {error}")


def _cut(text: str, most: int = MAX_TEXT) -> str:
    """Return a text, without the middle of a long one."""
    return text if len(text) <= most else f"{text[: most // 2]} … {text[-most // 2 :]}"
