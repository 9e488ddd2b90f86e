"""The judges together: of a pose, of the poses of one instance, of an instance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.stages.geometric.judge import InstanceJudge
from training.decision import Standing, standing
from training.fit import Scenes, catalogue
from training.instances import fit_instances, instances_of, judged
from training.logistic import Logistic
from training.turns import compared, fit_turns

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Judges:
    """The three judges.

    Attributes:
        poses: log odds of a pose by itself.
        turns: weights of the shares of the poses of one instance.
        instances: that one of the poses of an instance is right.
    """

    poses: Logistic
    turns: Array
    instances: InstanceJudge


def fit_judges(
    scenes: Scenes, poses: Logistic, others: Sequence[Logistic]
) -> tuple[Judges, list[Judges]]:
    """Fit the other two judges on what a judge of poses leaves.

    Args:
        scenes: for the fit.
        poses: judge of poses.
        others: the same for each scene, from other catalogues of objects.

    Returns:
        The judges, and for each scene those that were fitted on other catalogues.
    """
    every = zip(scenes.candidates, scenes.pixels, scenes.tables(), others, strict=True)
    parts = [(scene, seen, other.logit(table)) for scene, seen, table, other in every]
    names = [catalogue(scene) for scene in scenes.candidates]
    told = [compared(*part) for part in parts]
    turns = {name: fit_turns(_joined(told, names, name)) for name in set(names)}
    found = [instances_of(*part, turns[name]) for part, name in zip(parts, names, strict=True)]
    judges = {
        left: fit_instances([f for f, name in zip(found, names, strict=True) if name != left])
        for left in set(names)
    }
    left_out = [Judges(p, turns[n], judges[n]) for p, n in zip(others, names, strict=True)]
    return Judges(poses, fit_turns(_joined(told, names)), fit_instances(found)), left_out


def _joined(
    told: Sequence[list[tuple[Array, Array]]], names: Sequence[str], left: str | None = None
) -> list[tuple[Array, Array]]:
    """Return the instances of all scenes but those of one catalogue."""
    return [item for part, name in zip(told, names, strict=True) if name != left for item in part]


def decided(scenes: Scenes, judges: Sequence[Judges]) -> Standing:
    """Return the poses that stand in some scenes, each scene judged by its judges."""
    every = zip(scenes.candidates, scenes.pixels, scenes.tables(), judges, strict=True)
    found = [
        judged(instances_of(scene, seen, one.poses.logit(table), one.turns), one.instances)
        for scene, seen, table, one in every
    ]
    return standing(scenes.candidates, scenes.pixels, found)
