"""Refinement of poses on depth and silhouette: Gauss-Newton on rendered surfaces."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.geometry.depth_noise import SENSOR
from sam6d_ros.stages.geometric.evidence import Evidence
from sam6d_ros.stages.geometric.examine import cast_poses, examine, grids_of
from sam6d_ros.stages.geometric.features import Features, quality_of
from sam6d_ros.stages.geometric.hypotheses import Hypotheses
from sam6d_ros.stages.geometric.kit import ObjectKit
from sam6d_ros.stages.kernels.gauss_newton import refine
from sam6d_ros.stages.kernels.inputs import Maps

RENDER_RAYS = 900
GATES = (3.0, 2.5, 2.0, 1.5, 1.5)  # per iteration, in depth tolerances
TIE_SHIFT, TIE_ANGLE = 0.08, np.radians(12)  # standard deviation of the start: diameters, rad


def gauss_newton(
    view: Evidence,
    maps: Maps,
    kit: ObjectKit,
    poses: Hypotheses,
    gates: Sequence[float] = GATES,
) -> Hypotheses:
    """Return each pose after Gauss-Newton steps; one that shows too little stays.

    Args:
        view: maps of the frame.
        maps: the same, for the compiled loops.
        kit: views of the object.
        poses: N hypotheses.
        gates: largest accepted distance of each step.
    """
    if not len(poses):
        return poses
    model = kit.model
    rays = cast_poses(view, model, poses, grids_of(view, model, poses, RENDER_RAYS))
    rotation, translation = poses.rotation.copy(), poses.translation.copy()
    placement = view.placement(model, rotation, translation)
    tie = np.repeat([TIE_SHIFT * model.diameter, TIE_ANGLE], 3) ** -2.0
    refine(
        maps, rays, view.surface(model), placement, view.camera,
        placement.loose[:, None] * np.array(gates), SENSOR.at(translation[:, 2]),
        np.concatenate([kit.centre, tie]),
    )  # fmt: skip
    finite = np.isfinite(rotation).all((1, 2)) & np.isfinite(translation).all(1)
    rotation[~finite], translation[~finite] = poses.rotation[~finite], poses.translation[~finite]
    left, _, right = np.linalg.svd(rotation)
    return poses.moved(left @ right, translation)


def improved(
    view: Evidence,
    maps: Maps,
    kit: ObjectKit,
    poses: Hypotheses,
    rays: int,
    order: Callable[[Features], NDArray[np.float64]] = quality_of,
) -> Hypotheses:
    """Return the better of each pose and its refinement, with its place in an order as score.

    Args:
        view: maps of the frame.
        maps: the same, for the compiled loops.
        kit: views of the object.
        poses: N hypotheses.
        rays: number of rays per pose.
        order: which of two poses is better, from their features.
    """
    refined = gauss_newton(view, maps, kit, poses)
    both = order(examine(view, maps, kit, Hypotheses.joined(poses, refined), rays, full=False))
    before, after = both[: len(poses)], both[len(poses) :]
    index = np.arange(len(poses)) + len(poses) * (after > before)
    return Hypotheses.joined(poses, refined).take(index).with_score(np.maximum(before, after))
