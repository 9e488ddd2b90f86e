"""Objects of the newest result of a host, and log lines when they change. Holds no ROS type."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sam6d_ros.runtime.frame_age import OTHER_CLOCK_S

# Lines about changes come at most that often; the next one then states all changes since.
CHANGES_EVERY_S = 5.0


@dataclass(frozen=True)
class Wording:
    """Words of the log lines.

    Attributes:
        gained, gone: of instances that came and that went.
    """

    gained: str = "found"
    gone: str = "no longer found"


class ResultRecord:
    """Record of results; every method may be called from any thread.

    Args:
        log: destination of log lines, (level of ``logging``, text).
        clock: seconds that never jump.

    Attributes:
        wording: words of the log lines.
    """

    def __init__(
        self, log: Callable[[int, str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log, self._clock, self.wording = log, clock, Wording()
        self._lock = threading.Lock()
        self.restart()

    def restart(self) -> None:
        """Drop everything: the host begins to serve."""
        with self._lock:
            self._is_first, self._logged_at = True, -math.inf
            self._logged: frozenset[str] = frozenset()
            self._newest: dict[str, float] = {}
            self._found_at = -math.inf

    @property
    def summary(self) -> str:
        """Instances and scores of the newest result: "mug_0 0.71, can_0 0.64"."""
        with self._lock:
            return _listed(self._newest)

    @property
    def found_s_ago(self) -> float:
        """Seconds since the last result with an object; infinite without one."""
        with self._lock:
            return self._clock() - self._found_at

    def add(self, instances: Mapping[str, float], age_s: float = math.nan) -> None:
        """Take a result of all objects; log the first one, and changes.

        Args:
            instances: score of each instance by its id, best first.
            age_s: from the image's stamp to now; NaN if it is not known.
        """
        with self._lock:
            now = self._clock()
            self._newest = dict(instances)
            if instances:
                self._found_at = now
            line = self._line(now, age_s)
        if line:
            self._log(logging.INFO, line)

    def _line(self, now: float, age_s: float) -> str:
        """Return the line to log; empty without a change, or soon after the last line."""
        names = frozenset(self._newest)
        gained = {name: score for name, score in self._newest.items() if name not in self._logged}
        gone = sorted(self._logged - names)
        if not self._is_first:
            if not (gained or gone) or now - self._logged_at < CHANGES_EVERY_S:
                return ""
            parts = [f"{self.wording.gained}: {_listed(gained)}"] if gained else []
            parts += [f"{self.wording.gone}: {', '.join(gone)}"] if gone else []
            line = "; ".join(parts)
        else:
            known = abs(age_s) < OTHER_CLOCK_S  # else the image has the stamp of another clock
            age = f", {age_s:.2f} s after its image" if known else ""
            line = f"first result{age}: {_listed(self._newest) or 'no object'}"
        self._is_first, self._logged, self._logged_at = False, names, now
        return line


def _listed(instances: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {score:.2f}" for name, score in instances.items())
