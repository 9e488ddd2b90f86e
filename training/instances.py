"""Judge of instances: fitted on the instances that a judge of poses finds in scenes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.stages.geometric.judge import InstanceJudge
from sam6d_ros.stages.geometric.paired import shares
from sam6d_ros.stages.geometric.score import SPARE_DETECTIONS
from sam6d_ros.stages.geometric.surroundings import (
    OF_POSE,
    SURROUNDINGS,
    Instances,
    surroundings,
    together,
)
from training.decision import MIN_PROBABILITY, Pixels, groups, limit
from training.files import Candidates
from training.labels import RIGHT
from training.logistic import fit_logistic
from training.turns import columns_of

Array = NDArray[np.float64]
STRENGTH = 1.0  # C of the fit
SIGNS = {"log_odds": 1, "rivals": -1, "siblings": 1, "turns": -1}
SCALE = (1.3, 1.0)  # slope and offset, chosen on the backend's answers in nine path-traced sets
RANGE_PERCENT = (0.5, 99.5)  # of the training values: beyond them a feature says no more


@dataclass(frozen=True)
class SceneInstances:
    """Instances of one scene.

    Attributes:
        rows: of each, the candidates that are its different poses, most probable first.
        shares: (K,) of each, of the odds of its poses.
        values: (N, len(SURROUNDINGS)).
        right: (N,) bool, whether one of the poses is right.
    """

    rows: list[list[int]]
    shares: list[Array]
    values: Array
    right: NDArray[np.bool_]


def instances_of(
    scene: Candidates, pixels: Pixels, log_odds: Array, weights: Array
) -> SceneInstances:
    """Return the instances of a scene as the backend hands them on.

    Args:
        scene: candidates.
        pixels: that they explain.
        log_odds: (N,) of each candidate by itself.
        weights: of the columns by which the poses of an instance share its odds.
    """
    every = groups(scene, pixels, log_odds)
    joint = [together(log_odds[group]) for group in every]
    kept = _handed_on(scene, every, [odds for odds, _ in joint])
    ranked = [_by_share(scene, every[i], log_odds, weights) for i in kept]
    rows = [poses for poses, _ in ranked]
    heads = [group[0] for group in rows]
    found = Instances(
        tuple(str(scene.name[head]) for head in heads),
        np.array([joint[i][0] for i in kept]),
        np.array([joint[i][1] for i in kept]),
        pixels.cells[heads],
        np.stack([scene.column(name)[heads] for name in OF_POSE], axis=1),
    )
    right = np.array([bool((scene.error[group] < RIGHT).any()) for group in rows], bool)
    return SceneInstances(rows, [share for _, share in ranked], surroundings(found), right)


def _handed_on(
    scene: Candidates, every: Sequence[Sequence[int]], odds: Sequence[float]
) -> list[int]:
    """Return the numbers of the instances that are probable, as many as the backend keeps."""
    least = np.log(MIN_PROBABILITY / (1 - MIN_PROBABILITY))
    count: Counter[str] = Counter()
    kept = []
    for i in np.argsort(-np.array(odds), kind="stable").tolist():
        name = str(scene.name[every[i][0]])
        count[name] += 1
        if odds[i] >= least and count[name] <= limit(scene.domain) + SPARE_DETECTIONS:
            kept.append(i)
    return kept


def _by_share(
    scene: Candidates, rows: Sequence[int], log_odds: Array, weights: Array
) -> tuple[list[int], Array]:
    """Return the poses of an instance and the share of each, the largest first."""
    share = shares(columns_of(scene, rows, log_odds), weights)
    first = np.argsort(-share, kind="stable")
    return [rows[i] for i in first], share[first]


def judged(found: SceneInstances, judge: InstanceJudge) -> list[tuple[int, float]]:
    """Return the best candidate of each instance and its probability, probable instances first."""
    any_right = judge.probability(found.values)
    order = np.argsort(-any_right, kind="stable")
    return [(found.rows[i][0], float(any_right[i] * found.shares[i][0])) for i in order]


def fit_instances(scenes: Sequence[SceneInstances]) -> InstanceJudge:
    """Fit the judge of instances; every instance weighs the same.

    SCALE is of its log odds at the end: the backend refines the poses once more before it judges
    them, and more of them are right than among the candidates.

    Returns:
        The judge.
    """
    values = np.concatenate([scene.values for scene in scenes])
    right = np.concatenate([scene.right for scene in scenes])
    low, high = np.percentile(values, RANGE_PERCENT, axis=0)
    signs = [SIGNS.get(name, 0) for name in SURROUNDINGS]
    model = fit_logistic(np.clip(values, low, high), right, np.ones(len(right)), STRENGTH, signs)
    model = model.rescaled(*SCALE)
    weights = model.weights / model.scale
    return InstanceJudge(low, high, weights, model.constant - float(model.mean @ weights))
