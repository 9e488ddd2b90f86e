"""One estimation that somebody asked for: what is wanted, and whether it still is wanted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sam6d_ros.action import EstimatePoses
from sam6d_ros.apps.ros.on_demand import NEVER, region_from, seconds_from
from sam6d_ros.errors import InvalidConfig, Sam6dError

MAX_FRAMES = 100

Tell = Callable[[EstimatePoses.Feedback], None]


class Canceled(Sam6dError):
    """Who asked does not want it any more."""


class TimedOut(Sam6dError):
    """It took longer than it may."""


class Request:
    """A goal in work; ``cancel`` may be called from any thread.

    Args:
        goal: what is wanted.
        tell: where feedback goes.
    """

    def __init__(self, goal: EstimatePoses.Goal, tell: Tell) -> None:
        self._started = time.monotonic()
        self.goal, self._tell = goal, tell
        self.frames = max(1, goal.frames)
        self.frame, self.stage = 0, "queue"
        self.frames_used = 0
        self._timeout_s = NEVER
        self._canceled = self._committed = False
        self._lock = threading.Lock()

    def validate(self) -> None:
        """Look whether it can be done.

        Raises:
            InvalidInput: too many frames, a region without height, a negative timeout.
        """
        if self.goal.frames > MAX_FRAMES:
            raise InvalidConfig(f"frames is {self.goal.frames}; expected at most {MAX_FRAMES}")
        region_from(self.goal.roi)
        self._timeout_s = seconds_from(self.goal.timeout, when_zero=NEVER)

    @property
    def complete(self) -> bool:
        """Whether all objects are looked for, everywhere."""
        return not self.goal.class_ids and region_from(self.goal.roi) is None

    @property
    def deadline(self) -> float:
        """By ``time.monotonic``."""
        return self._started + self._timeout_s

    def begin(self, stage: str, frame: int) -> None:
        """Enter a stage, and tell."""
        self.stage, self.frame = stage, frame
        elapsed_s = time.monotonic() - self._started
        self._tell(
            EstimatePoses.Feedback(
                stage=stage, frame=frame, frames=self.frames, elapsed_s=elapsed_s
            )
        )

    def cancel(self) -> bool:
        """Do not go on; False when it is too late, because the result is on its way."""
        with self._lock:
            self._canceled = not self._committed
            return self._canceled

    def commit(self) -> None:
        """From now on it cannot be canceled.

        Raises:
            Canceled: it was.
        """
        with self._lock:
            if self._canceled:
                raise Canceled(f"canceled in stage {self.stage} of frame {self.frame}")
            self._committed = True

    @property
    def over(self) -> bool:
        """Whether ``check`` would raise."""
        return self._canceled or time.monotonic() >= self.deadline

    def check(self) -> None:
        """Nothing, unless it is over.

        Raises:
            Canceled, TimedOut: why it is.
        """
        if self._canceled:
            raise Canceled(f"canceled in stage {self.stage} of frame {self.frame}")
        if time.monotonic() >= self.deadline:
            raise TimedOut(
                f"no result within the timeout of {self._timeout_s:g} s: it was in stage "
                f"{self.stage} of frame {self.frame} of {self.frames}"
            )
