"""Watches whether camera topics arrive and pair, and says what to do when they do not."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

RECENT = 30  # stamps kept per topic, one second of a usual camera
# Headroom on the advised slop, so that jitter does not break the pairing again.
SLOP_HEADROOM = 1.1


class PairingWatch:
    """Counts messages and pairs of several topics. Holds no ROS type.

    Args:
        names: of the inputs; the first one is the reference.
        timeout_s: how long messages may arrive without a pair before that is a problem.
        clock: seconds that never jump (the simulation's clock may stand still).
    """

    def __init__(
        self,
        names: Sequence[str],
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counts = dict.fromkeys(names, 0)
        self._timeout_s, self._clock = timeout_s, clock
        self._stamps: Mapping[str, deque[int]] = {n: deque(maxlen=RECENT) for n in names}
        self._last_seen: dict[str, float] = {}
        self._last_pair = self._started = self._clock()

    def saw(self, name: str, stamp_ns: int) -> None:
        """Note a message."""
        self.counts[name] += 1
        self._stamps[name].append(stamp_ns)
        self._last_seen[name] = self._clock()

    def paired(self) -> None:
        """Note a pair."""
        self._last_pair = self._clock()

    def silent(self) -> list[str]:
        """Inputs without a message for ``timeout_s`` (since the start at least)."""
        now = self._clock()
        seen = {n: self._last_seen.get(n, self._started) for n in self.counts}
        return [name for name, at in seen.items() if now - at > self._timeout_s]

    def never_pairs(self, slop_s: float) -> str:
        """Why messages arrive on every topic but never pair; empty when they do."""
        if self._clock() - self._last_pair <= self._timeout_s or self.silent():
            return ""
        reference, *others = self._stamps
        offsets = {name: self._closest_s(reference, name) for name in others}
        worst = max(offsets, key=lambda name: abs(offsets[name]))
        gap = abs(offsets[worst])
        if gap <= slop_s:
            return (
                f"{reference} and {worst} have matching stamps but do not pair; messages are lost "
                "or come too late: raise queue_size, or set the inputs' reliability to reliable"
            )
        return (
            f"{reference} and {worst} arrive but never pair: their closest stamps are "
            f"{gap:.3f} s apart ({worst} is {'later' if offsets[worst] > 0 else 'earlier'}) and "
            f"slop_s is {slop_s:.3f}. Set sync to approximate and slop_s to at least "
            f"{gap * SLOP_HEADROOM:.3f}, or synchronise the drivers' clocks"
        )

    def _closest_s(self, reference: str, other: str) -> float:
        """Signed smallest difference of two inputs' stamps, in seconds."""
        here, there = tuple(self._stamps[reference]), tuple(self._stamps[other])
        return min((b - a for a in here for b in there), key=abs, default=0) * 1e-9
