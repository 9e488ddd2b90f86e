"""What a node says about itself: state, last error, rates; and the one table of error handling."""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rclpy.impl.rcutils_logger import RcutilsLogger

from sam6d_ros.errors import InvalidInput, ResourceExhausted, Sam6dError

THROTTLE_S = 5.0
RATE_WINDOW_S = 10.0
STALE_AFTER_S = 5.0


class State(Enum):
    """What a node is doing; the value is the text that diagnostics show."""

    UNCONFIGURED = "unconfigured"
    INACTIVE = "inactive"
    LOADING = "loading"
    LOAD_FAILED = "loading failed"
    WAITING = "waiting for input"
    RUNNING = "running"
    BAD_INPUT = "bad input"
    FAILED = "failed on the last frame"


LEVELS = {
    State.UNCONFIGURED: DiagnosticStatus.WARN,
    State.INACTIVE: DiagnosticStatus.OK,
    State.LOADING: DiagnosticStatus.WARN,
    State.LOAD_FAILED: DiagnosticStatus.ERROR,
    State.WAITING: DiagnosticStatus.WARN,
    State.RUNNING: DiagnosticStatus.OK,
    State.BAD_INPUT: DiagnosticStatus.ERROR,
    State.FAILED: DiagnosticStatus.ERROR,
}


@dataclass(frozen=True)
class Handling:
    """What is done about an error of one kind, beside keeping the node running."""

    state: State
    severity: str
    with_traceback: bool = False


# The first row that matches counts.
ERROR_TABLE: tuple[tuple[type[Exception], Handling], ...] = (
    (InvalidInput, Handling(State.BAD_INPUT, "warning")),
    (ResourceExhausted, Handling(State.FAILED, "error")),
    (Sam6dError, Handling(State.FAILED, "error")),
    (Exception, Handling(State.FAILED, "error", with_traceback=True)),
)


class NodeStatus:
    """Collects what happens in a node; every method may be called from any thread."""

    def __init__(self, name: str, logger: RcutilsLogger) -> None:
        self.name, self.logger = name, logger
        self.state = State.LOADING
        self.backend = ""
        self.received = self.skipped = 0
        self.working = False
        self.last_error = ""
        self.input_problem = ""
        self._reason = ""
        self._timings_s: Mapping[str, float] = {}
        self._done: deque[float] = deque(maxlen=1000)
        self._logged: dict[str, float] = {}

    def processed(self, timings_s: Mapping[str, float], reason: str) -> None:
        """Note a frame that went through; ``reason`` says why its result is empty."""
        self.state, self.last_error = State.RUNNING, ""
        self._timings_s, self._reason = dict(timings_s), reason
        self._done.append(time.monotonic())
        if reason:
            self.log("info", f"nothing found: {reason}", key="empty")

    def failed(self, error: Exception, loading: bool = False) -> None:
        """Handle an error by the table: log it (throttled), show it; the node keeps running."""
        handling = next(row for kind, row in ERROR_TABLE if isinstance(error, kind))
        self.state = State.LOAD_FAILED if loading else handling.state
        self.last_error = f"{type(error).__name__}: {error}"
        text = self.last_error
        if handling.with_traceback:
            text += "\n" + "".join(traceback.format_exception(error))
        severity = "error" if loading else handling.severity
        # a load fails rarely, and each failure wants its reason
        self.log(severity, text, key=text if loading else type(error).__name__)

    def log(self, severity: str, text: str, key: str, every_s: float = THROTTLE_S) -> None:
        """Log, but at most once per ``every_s`` for one key.

        rclpy's own throttle goes by the calling line, which here is one for all errors.
        """
        now = time.monotonic()
        if key in self._logged and now - self._logged[key] < every_s:
            return
        self._logged[key] = now
        # One line for each severity: rclpy remembers it by the calling line.
        if severity == "error":
            self.logger.error(text)
        elif severity == "warning":
            self.logger.warning(text)
        else:
            self.logger.info(text)

    def rate_hz(self) -> float:
        """Frames that went through per second, over the last seconds."""
        now = time.monotonic()
        recent = [t for t in tuple(self._done) if now - t < RATE_WINDOW_S]
        return len(recent) / RATE_WINDOW_S

    def message(self, dropped: int) -> DiagnosticStatus:
        """The row of this node for ``/diagnostics``."""
        state = self._current_state()
        level = LEVELS[state]
        summary = f"{state.value}: {self.last_error}" if self.last_error else state.value
        if self.input_problem:
            level = max(level, DiagnosticStatus.WARN)
            summary = f"{state.value}: {self.input_problem}"
        values = {
            "state": state.value,
            "last_error": self.last_error,
            "input_problem": self.input_problem,
            "backend": self.backend,
            "rate_hz": f"{self.rate_hz():.2f}",
            "frames_received": str(self.received),
            "frames_dropped": str(dropped),
            "empty_result_reason": self._reason,
            **{f"{stage}_ms": f"{1e3 * s:.1f}" for stage, s in self._timings_s.items()},
        }
        rows = [KeyValue(key=key, value=value) for key, value in values.items()]
        return DiagnosticStatus(level=level, name=self.name, message=summary, values=rows)

    def _current_state(self) -> State:
        """Running means that frames go through now, not that they once did."""
        recent = bool(self._done) and time.monotonic() - self._done[-1] < STALE_AFTER_S
        idle = self.state is State.RUNNING and not (self.working or recent)
        return State.WAITING if idle else self.state
