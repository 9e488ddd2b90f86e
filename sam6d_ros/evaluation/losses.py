"""Stage of a search at which an instance is lost: a walk back from the end."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.symmetry.group import expand

Array = NDArray[np.float64]

REACH = 0.6  # diameters: hypotheses farther from the truth are no hypotheses of it
# Error below which a hypothesis is one of the instance, in diameters; smaller as poses get exact.
NEAR = {"search": 0.25, "quota": 0.25, "fit": 0.15, "compared": 0.15, "chosen": 0.15}
NEAR_LATER = 0.1
SAMPLES = 200  # vertices
STEP = np.radians(5)  # of a continuous symmetry


def lost_at(tables: Mapping[str, Array], truth: Array, model: ObjectModel) -> str:
    """Return the first stage that no hypothesis of an instance survives.

    Args:
        tables: poses (N, 4, 4) after each stage in order, before them the seeds (S, 3).
        truth: (4, 4) cam_from_obj.
        model: the object.

    Returns:
        The name of a stage; "judged" if a right pose is among the candidates of the last one.
    """
    after = "judged"
    for stage in reversed(list(tables)):
        if stage == "seeds":
            alive = _touches(tables[stage], truth, model)
        else:
            alive = smallest_error(tables[stage], truth, model) < NEAR.get(stage, NEAR_LATER)
        if alive:
            return after
        after = stage
    return after


def smallest_error(poses: Array, truth: Array, model: ObjectModel) -> float:
    """Return the smallest ADD over the symmetries, in diameters; infinite without a pose nearby."""
    gap = np.linalg.norm(poses[:, :3, 3] - truth[:3, 3], axis=1)
    near = poses[gap < REACH * model.diameter]
    if not len(near):
        return float("inf")
    points = np.asarray(model.vertices[:: max(1, len(model.vertices) // SAMPLES)], np.float64)
    placed = points @ near[:, :3, :3].transpose(0, 2, 1) + near[:, None, :3, 3]
    best = np.inf
    for motion in expand(model.symmetries, STEP):
        same = truth @ motion
        there = points @ same[:3, :3].T + same[:3, 3]
        best = min(best, float(np.linalg.norm(placed - there, axis=2).mean(1).min()))
    return best / model.diameter


def _touches(points: Array, truth: Array, model: ObjectModel) -> bool:
    """Whether a point lies in the object's box, with a margin of a twentieth of the diameter."""
    inside = np.linalg.inv(truth @ model.obj_from_box)
    local = points @ inside[:3, :3].T + inside[:3, 3]
    margin = 0.05 * model.diameter
    return bool((np.abs(local) < model.box_size / 2 + margin).all(1).any())
