"""Restoration of a node's lifecycle state after its death or an error, with back-off."""

from __future__ import annotations

import time
from collections.abc import Callable

from sam6d_ros.runtime.peers import Beat

UNCONFIGURED, INACTIVE, ACTIVE, FINALIZED = "unconfigured", "inactive", "active", "finalized"
SETTLED = (UNCONFIGURED, INACTIVE, ACTIVE, FINALIZED)
CONFIGURE, ACTIVATE = "configure", "activate"
# A node that starts configures itself, if it is to: it is given this time.
FIRST_DELAY_S = 1.0
LAST_DELAY_S = 60.0
# Without an attempt for so long the back-off begins anew.
CALM_S = 120.0


class Restoration:
    """Decision which transition brings one node back to the state that it was left in.

    The wanted state is the last one that the node was in without an error: a transition that an
    operator requests changes it, death and errors do not.

    Args:
        clock: seconds that never jump.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._instance, self._wanted = "", UNCONFIGURED
        self._restoring = False
        self._attempts, self._next = 0, 0.0

    def observe(self, beat: Beat) -> str:
        """Process a heartbeat.

        Args:
            beat: the heartbeat.

        Returns:
            The lifecycle transition to request now, or "".
        """
        now = self._clock()
        again = bool(self._instance) and beat.instance != self._instance
        self._instance = beat.instance
        if (again or beat.failed) and not self._restoring:
            self._begin(now)
        if beat.lifecycle not in SETTLED:
            return ""
        if not self._restoring or beat.lifecycle in (self._wanted, FINALIZED):
            self._wanted, self._restoring = beat.lifecycle, False
            return ""
        if now < self._next:
            return ""
        return self._attempt(beat.lifecycle, now)

    def _begin(self, now: float) -> None:
        self._restoring = True
        if now - self._next > CALM_S:
            self._attempts = 0
        self._next = now + self._delay_s()

    def _attempt(self, lifecycle: str, now: float) -> str:
        if lifecycle == UNCONFIGURED:
            self._attempts += 1
            self._next = now + self._delay_s()
            return CONFIGURE
        if lifecycle == INACTIVE:
            self._next = now + FIRST_DELAY_S
            return ACTIVATE
        self._restoring = False  # it is active where less was wanted: an operator has activated it
        return ""

    def _delay_s(self) -> float:
        return min(FIRST_DELAY_S * 2.0**self._attempts, LAST_DELAY_S)
