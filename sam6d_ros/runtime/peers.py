"""Watch of the heartbeats of other processes: missing, stuck, or ended in order."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

PERIOD_S = 0.4
# Three beats and a little: with the period of the check, a loss is noticed within 2 s.
MISSING_AFTER_S = 1.4
# Imports of libraries hold the interpreter for seconds.
MISSING_AFTER_LOADING_S = 10.0
FORGET_AFTER_S = 600.0
MAX_PEERS = 64
# Any process may send heartbeats, and their texts go into the diagnostics of every node.
MAX_NAME, MAX_TEXT = 256, 300
UNSETTLED = ("configuring", "activating", "deactivating", "cleaningup", "shuttingdown")


@dataclass(frozen=True)
class Beat:
    """Heartbeat of one node.

    Attributes:
        name: of the node.
        instance: changes with each start of the process.
        lifecycle: lifecycle state.
        stuck: why the node does not work any more, though it lives; or empty.
        failed: whether an error has ended the node's service, rather than an operator.
    """

    name: str
    instance: str
    lifecycle: str
    stuck: str = ""
    failed: bool = False


class PeerWatch:
    """Record of the newest heartbeat of each peer, for one thread.

    Args:
        present: whether a node of a name is still announced; one that ends in order is not.
        clock: seconds that never jump.
    """

    def __init__(
        self, present: Callable[[str], bool], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._present, self._clock = present, clock
        self._beats: dict[str, tuple[Beat, float]] = {}
        self._missing: set[str] = set()
        self._checked = clock()

    def heard(self, beat: Beat) -> None:
        """Record a heartbeat; names beyond ``MAX_NAME`` are not watched.

        Of more than ``MAX_PEERS`` names those of announced nodes are.

        Args:
            beat: the heartbeat.
        """
        if len(beat.name) > MAX_NAME:
            return
        if beat.name in self._beats or self._has_room(beat.name):
            self._beats[beat.name] = beat, self._clock()
            self._missing.discard(beat.name)

    def _has_room(self, name: str) -> bool:
        """Whether a new peer can be watched; a name without a node gives way to a node."""
        if len(self._beats) < MAX_PEERS:
            return True
        unknown = self._present(name) and next((n for n in self._beats if not self._present(n)), "")
        if unknown:
            del self._beats[unknown]
            self._missing.discard(unknown)
        return bool(unknown)

    @property
    def loading(self) -> bool:
        """Whether a peer is being configured."""
        return any(beat.lifecycle == "configuring" for beat, _ in self._beats.values())

    def problems(self) -> list[str]:
        """Return a sentence about each peer that is missing or stuck; call it each period."""
        now = self._clock()
        late_s = now - self._checked - PERIOD_S
        self._checked = now
        if late_s > PERIOD_S:  # this process was halted: the beats of that time still wait
            self._beats = {n: (b, seen + late_s) for n, (b, seen) in self._beats.items()}
        return [text for name in [*self._beats] if (text := self._problem(name, now))]

    def _problem(self, name: str, now: float) -> str:
        beat, seen = self._beats[name]
        limit_s = MISSING_AFTER_LOADING_S if beat.lifecycle in UNSETTLED else MISSING_AFTER_S
        silent_s = now - seen
        if silent_s < limit_s:
            return f"{name} is stuck: {beat.stuck}" if beat.stuck else ""
        ended = name not in self._missing and not self._present(name)
        if ended or silent_s > FORGET_AFTER_S:
            del self._beats[name]
            self._missing.discard(name)
            return ""
        self._missing.add(name)
        return f"{name} has died or hangs: no heartbeat for more than {limit_s:g} s"
