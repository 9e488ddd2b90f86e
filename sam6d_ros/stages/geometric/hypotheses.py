"""Guesses of one object's pose, and where they grow from."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sam6d_ros.geometry import se3

SAME_SHIFT = 0.06  # in diameters
SAME_ANGLE = np.radians(12)


@dataclass(frozen=True)
class Hypotheses:
    """N guesses of one object's pose.

    Attributes:
        rotation: (N, 3, 3) float64, cam_from_obj.
        translation: (N, 3) float64 metres.
        score: (N,) float32, comparable within one object only.
        region: (N,) int64, the region whose seed it grew from.
        group: (N,) int64, the part of that region, as large as a few objects, where the seed lies:
            every group has its quota.
    """

    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]
    score: NDArray[np.float32]
    region: NDArray[np.int64]
    group: NDArray[np.int64]

    @property
    def poses(self) -> NDArray[np.float64]:
        """(N, 4, 4) cam_from_obj."""
        return se3.from_rotation_translation(self.rotation, self.translation)

    @classmethod
    def from_poses(
        cls, poses: NDArray[np.float64], score: NDArray, region: NDArray[np.int64]
    ) -> Hypotheses:
        """From (N, 4, 4) cam_from_obj; every region is a group of its own."""
        rotation = np.ascontiguousarray(poses[:, :3, :3])
        translation = np.ascontiguousarray(poses[:, :3, 3])
        return cls(rotation, translation, np.asarray(score, np.float32), region, region)

    @classmethod
    def joined(cls, *parts: Hypotheses) -> Hypotheses:
        """All of several sets, in order."""
        arrays = [[getattr(part, f.name) for part in parts] for f in fields(cls)]
        return cls(*(np.concatenate(values) for values in arrays))

    def take(self, index: NDArray) -> Hypotheses:
        """The chosen ones."""
        return Hypotheses(*(getattr(self, f.name)[index] for f in fields(self)))

    def with_score_unsorted(self, score: NDArray) -> Hypotheses:
        """The same poses, in the same order, with other scores."""
        return replace(self, score=np.asarray(score, np.float32))

    def with_score(self, score: NDArray) -> Hypotheses:
        """The same poses with other scores, best first."""
        scored = self.with_score_unsorted(score)
        return scored.take(np.argsort(-scored.score, kind="stable"))

    def __len__(self) -> int:
        return len(self.score)


@dataclass(frozen=True)
class Seeds:
    """S scene points on which views are placed.

    Attributes:
        pixels_rc: (S, 2) int64 pixels as (row, column) at the working size.
        region: (S,) int64 index of the region each lies in.
        group: (S,) int64 index of the part of the region each lies in, see Hypotheses.
    """

    pixels_rc: NDArray[np.int64]
    region: NDArray[np.int64]
    group: NDArray[np.int64]


def diverse(
    hypotheses: Hypotheses, centre_obj: NDArray, diameter: float, per_group: int
) -> Hypotheses:
    """The best of every group that differ by SAME_SHIFT or SAME_ANGLE from better ones there.

    A quota for each group keeps a partly hidden object in the race against a large clean surface
    that happens to resemble it.
    """
    ranked = hypotheses.with_score(hypotheses.score)
    centres = ranked.rotation @ centre_obj + ranked.translation
    n_group = int(ranked.group.max(initial=-1)) + 1
    kept = _diverse(
        ranked.rotation, centres, ranked.group, SAME_SHIFT * diameter, np.cos(SAME_ANGLE),
        per_group, n_group,
    )  # fmt: skip
    return ranked.take(kept)


@njit(cache=True)
def _diverse(rotation, centres, group, shift, cos_angle, quota, n_group):  # type: ignore[no-untyped-def]
    kept = np.empty((n_group, quota), np.int64)
    count = np.zeros(n_group, np.int64)
    chosen = np.zeros(len(centres), np.bool_)
    for i in range(len(centres)):
        g = group[i]
        if count[g] == quota:
            continue
        fresh = True
        for j in range(count[g]):
            k = kept[g, j]
            d2 = 0.0
            trace = 0.0
            for a in range(3):
                d2 += (centres[i, a] - centres[k, a]) ** 2
                for b in range(3):
                    trace += rotation[i, a, b] * rotation[k, a, b]
            if d2 < shift * shift and (trace - 1) / 2 > cos_angle:
                fresh = False
                break
        if fresh:
            kept[g, count[g]] = i
            count[g] += 1
            chosen[i] = True
    return np.flatnonzero(chosen)
