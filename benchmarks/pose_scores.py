"""Poses found, target by target, and the paired difference of two ways to find them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import binomtest

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.symmetry.equivalence import nearest_equivalent
from sam6d_ros.geometry.units import MM_PER_M
from sam6d_ros.types import PoseEstimate, PoseEstimates

Array = NDArray[np.float64]

FOUND_DIAMETERS = 0.1


@dataclass
class Score:
    """Targets in the order in which they were added.

    Attributes:
        names: object of each.
        groups: what each belongs to, a scene; targets of one scene are not independent.
        found: whether it was found.
        errors_m: of the found ones, metres.
        wrong_names: objects of the poses that are of no target.
    """

    names: list[str] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    found: list[bool] = field(default_factory=list)
    errors_m: list[float] = field(default_factory=list)
    wrong_names: list[str] = field(default_factory=list)

    def add(
        self,
        poses: PoseEstimates,
        truth: Sequence[tuple[str, Array]],
        models: Mapping[str, ObjectModel],
        group: int = 0,
    ) -> None:
        """Count the poses of one result.

        Args:
            poses: the result.
            truth: name and cam_from_obj of each target, in the same camera.
            models: the objects by name.
            group: what the targets belong to.
        """
        errors = np.array(
            [[_error(pose, name, at, models) for name, at in truth] for pose in poses.items]
        ).reshape(len(poses.items), len(truth))
        reach = np.array([FOUND_DIAMETERS * models[name].diameter for name, _ in truth])
        pairs = np.transpose(linear_sum_assignment(np.minimum(errors, 1e3)))
        hits = {int(j): int(i) for i, j in pairs if errors[i, j] <= reach[j]}
        self.names += [name for name, _ in truth]
        self.groups += [group] * len(truth)
        self.found += [j in hits for j in range(len(truth))]
        self.errors_m += [float(errors[i, j]) for j, i in hits.items()]
        right = set(hits.values())
        self.wrong_names += [p.class_id for i, p in enumerate(poses.items) if i not in right]

    @property
    def targets(self) -> int:
        """Number of targets."""
        return len(self.found)

    @property
    def wrong(self) -> int:
        """Number of poses that are of no target."""
        return len(self.wrong_names)

    @property
    def recall(self) -> float:
        """Share of the targets that were found."""
        return sum(self.found) / max(1, self.targets)

    @property
    def median_mm(self) -> float:
        """Median error of the found targets, millimetres."""
        return float(np.median(self.errors_m)) * MM_PER_M if self.errors_m else float("nan")

    def by_object(self) -> str:
        """Return found / targets, and wrong poses, of each object."""
        every, wrong = Counter(self.names), Counter(self.wrong_names)
        hits = Counter(name for name, hit in zip(self.names, self.found, strict=True) if hit)
        return ", ".join(f"{name} {hits[name]}/{n} ({wrong[name]})" for name, n in every.items())


@dataclass(frozen=True)
class Difference:
    """Two ways to find the same targets.

    Attributes:
        recall: recall of the second less that of the first.
        error: standard error of it over the groups, which are independent.
        lost: targets that only the first found.
        won: targets that only the second found.
        chance: probability of a difference as large between equal ways (exact McNemar test).
    """

    recall: float
    error: float
    lost: int
    won: int
    chance: float


def difference(first: Score, second: Score) -> Difference:
    """Compare two scores of the same targets in the same order."""
    change = np.subtract(second.found, first.found, dtype=np.float64)
    names, group = np.unique(first.groups, return_inverse=True)
    excess = np.bincount(group, change - change.mean())
    count = len(names)
    spread = count / (count - 1) * float((excess**2).sum()) if count > 1 else math.nan
    lost, won = int((change < 0).sum()), int((change > 0).sum())
    chance = float(binomtest(won, lost + won).pvalue) if lost + won else 1.0
    error = math.sqrt(spread) / max(1, len(change))
    return Difference(float(change.mean()), error, lost, won, chance)


def _error(
    pose: PoseEstimate, name: str, cam_from_obj: Array, models: Mapping[str, ObjectModel]
) -> float:
    """Return the largest distance of a corner of the object's box, up to symmetry, metres."""
    if pose.class_id != name:
        return np.inf
    model = models[name]
    poses = (pose.cam_from_obj, cam_from_obj)
    return float(nearest_equivalent(*poses, model.symmetries, model.box_corners)[1])
