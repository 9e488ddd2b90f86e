"""What is known of a node: state, last error, figures; and the one table of error handling."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from rclpy.impl.rcutils_logger import RcutilsLogger

from sam6d_ros.errors import InvalidInput, ResourceExhausted, Sam6dError
from sam6d_ros.runtime.stats import FrameStats

THROTTLE_S = 5.0
STALE_AFTER_S = 5.0


class State(Enum):
    """What a node is doing; the value is the text that diagnostics show."""

    UNCONFIGURED = "unconfigured"
    INACTIVE = "inactive"
    LOADING = "loading"
    LOAD_FAILED = "loading failed"
    WAITING = "waiting for input"
    IDLE = "waiting for a request"
    RUNNING = "running"
    BAD_INPUT = "bad input"
    FAILED = "failed on the last frame"


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
    """Collects what happens in a node; every method may be called from any thread.

    Args:
        name: full name of the node.
        logger: its logger.
        clock: seconds that never jump.
    """

    def __init__(
        self, name: str, logger: RcutilsLogger, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name, self.logger, self._clock = name, logger, clock
        self.stats = FrameStats(clock)
        self.state = State.LOADING
        self.backend = self.device = ""
        self.tracked_objects = 0
        self.working = False
        self.on_demand = False
        self.last_error = ""
        self.input_problem = ""
        self.empty_reason = ""
        self._logged: dict[str, float] = {}

    def processed(self, timings_s: Mapping[str, float], reason: str) -> None:
        """Note a frame that went through; ``reason`` says why its result is empty."""
        self.state, self.last_error, self.empty_reason = State.RUNNING, "", reason
        self.stats.process(timings_s)
        if reason:
            self.log("info", f"nothing found: {reason}", key="empty")

    def failed(self, error: Exception, loading: bool = False) -> None:
        """Handle an error by the table: log it (throttled), show it; the node keeps running."""
        handling = next(row for kind, row in ERROR_TABLE if isinstance(error, kind))
        self.state = State.LOAD_FAILED if loading else handling.state
        if not loading:
            self.stats.fail()
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
        now = self._clock()
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

    def current_state(self, idle_s: float) -> State:
        """Running means that frames go through now, not that they once did."""
        idle = not self.working and idle_s >= STALE_AFTER_S
        if self.state is not State.RUNNING or not idle:
            return self.state
        return State.IDLE if self.on_demand else State.WAITING
