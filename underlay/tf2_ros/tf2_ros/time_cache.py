"""The transforms of one child frame to its parents, over time."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tf2_ros.exceptions import ExtrapolationException

Array = NDArray[np.float64]


class Edge(NamedTuple):
    """A transform from a child frame to its parent: `p_parent = rotate(quat_xyzw, p) + shift`."""

    parent: str
    quat_xyzw: Array
    shift: Array


class StaticCache:
    """One transform that holds at every time; the newest replaces the one before."""

    def __init__(self) -> None:
        self._edge: Edge | None = None

    def insert(self, stamp_ns: int, edge: Edge) -> bool:
        """Keep the transform, whatever its stamp."""
        self._edge = edge
        return True

    def latest(self) -> tuple[int, str]:
        """Stamp (0: any time) and parent of the newest transform."""
        return 0, self._edge.parent if self._edge else ""

    def at(self, stamp_ns: int) -> Edge:
        """The transform."""
        if self._edge is None:
            raise ExtrapolationException("no transform is in the buffer")
        return self._edge

    def clear(self) -> None:
        """Static transforms stay."""


class TimeCache:
    """Transforms in the order of their stamps, interpolated in between, forgotten when old."""

    def __init__(self, keep_ns: int) -> None:
        self._keep_ns = keep_ns
        self._stamps: list[int] = []
        self._edges: dict[int, Edge] = {}

    def insert(self, stamp_ns: int, edge: Edge) -> bool:
        """Keep a transform; False when it is older than all that would be kept.

        Of two with the same stamp the later counts.
        """
        if self._stamps and stamp_ns < self._stamps[-1] - self._keep_ns:
            return False
        if stamp_ns not in self._edges:
            insort(self._stamps, stamp_ns)
        self._edges[stamp_ns] = edge
        while self._stamps[0] < self._stamps[-1] - self._keep_ns:
            del self._edges[self._stamps.pop(0)]
        return True

    def latest(self) -> tuple[int, str]:
        """Stamp and parent of the newest transform; ("", 0) when there is none."""
        return (self._stamps[-1], self._edges[self._stamps[-1]].parent) if self._stamps else (0, "")

    def at(self, stamp_ns: int) -> Edge:
        """The transform at a time; at time 0 the newest.

        Raises:
            ExtrapolationException: the time is not between two stamps that are kept.
        """
        self._check(stamp_ns)
        stamp_ns = stamp_ns or self._stamps[-1]
        if stamp_ns in self._edges:
            return self._edges[stamp_ns]
        newer = bisect_left(self._stamps, stamp_ns)
        before, after = self._stamps[newer - 1], self._stamps[newer]
        one, two = self._edges[before], self._edges[after]
        if one.parent != two.parent:
            return one
        share = (stamp_ns - before) / (after - before)
        shift = one.shift + share * (two.shift - one.shift)
        return Edge(one.parent, slerp(one.quat_xyzw, two.quat_xyzw, share), shift)

    def clear(self) -> None:
        """Drop all."""
        self._stamps.clear()
        self._edges.clear()

    def _check(self, stamp_ns: int) -> None:
        """The original's complaints, word by word: people search for them."""
        asked = f"{stamp_ns / 1e9:.6f}"
        if not self._stamps:
            raise ExtrapolationException(
                f"Lookup would require extrapolation at time {asked}, but only time 0.000000 is "
                "in the buffer"
            )
        first, last = self._stamps[0], self._stamps[-1]
        if stamp_ns == 0 or first <= stamp_ns <= last:
            return
        if first == last:
            raise ExtrapolationException(
                f"Lookup would require extrapolation at time {asked}, but only time "
                f"{first / 1e9:.6f} is in the buffer"
            )
        if stamp_ns > last:
            raise ExtrapolationException(
                "Lookup would require extrapolation into the future.  Requested time "
                f"{asked} but the latest data is at time {last / 1e9:.6f}"
            )
        raise ExtrapolationException(
            "Lookup would require extrapolation into the past.  Requested time "
            f"{asked} but the earliest data is at time {first / 1e9:.6f}"
        )


def slerp(one: Array, two: Array, share: float) -> Array:
    """The turn on the shortest way from one quaternion to another; share 0 gives the first."""
    cosine = float(one @ two)
    if cosine < 0:
        two, cosine = -two, -cosine
    angle = np.arccos(min(cosine, 1.0))
    if angle < 1e-6:
        mixed = one + share * (two - one)
    else:
        mixed = np.sin((1 - share) * angle) * one + np.sin(share * angle) * two
    return mixed / np.linalg.norm(mixed)
