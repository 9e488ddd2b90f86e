"""Errors of an estimated pose against the true one: ADD, ADD-S, MSSD, MSPD, VSD.

Definitions: Hinterstoisser et al., ACCV 2012 (ADD, ADD-S, there ADI); Hodan et al., BOP Challenge
2019/2020 (https://bop.felk.cvut.cz/challenges/bop-challenge-2019/), ECCVW 2020 (the others).
Poses are (4, 4) ``cam_from_obj`` in metres, points (N, 3) metres in the object frame.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from sam6d_ros.cad.model import Symmetries
from sam6d_ros.cad.symmetry.equivalence import nearest_turns
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import CameraIntrinsics, project, ray_directions
from sam6d_ros.geometry.mesh import hull_points
from sam6d_ros.geometry.raycast import RayScene

Array = NDArray[np.float64]

# BOP challenge 2019: between two turns of a discretized continuous symmetry the farthest vertex
# moves at most this fraction of the diameter.
MAX_SYMMETRY_STEP = 0.01
VSD_DELTA_M = 0.015  # tolerance of the visibility test
VSD_TAUS = np.linspace(0.05, 0.5, 10)  # misalignment tolerances, fractions of the diameter


def symmetry_transforms(symmetries: Symmetries, estimated: Array, true: Array) -> Array:
    """Return the (S, 4, 4) motions of the object onto itself to take errors over.

    A continuous symmetry is taken in ⌈π / MAX_SYMMETRY_STEP⌉ turns and combined with each
    discrete one, as the BOP toolkit does; the identity comes first. Of a ball (two axes), whose
    combinations of turns would be 99,225, the rotation that brings the true pose (4, 4) nearest to
    the estimated one is taken: no other rotation gives a smaller error.
    """
    out = np.asarray(symmetries.discrete, np.float64)
    if len(symmetries.axes) > 1:
        return out @ nearest_turns(true @ out, estimated, symmetries.axes)
    for direction, point in symmetries.axes:
        turns = axis_turns(direction, point)
        out = (turns[:, None] @ out[None]).reshape(-1, 4, 4)
    return out


def axis_turns(direction: Array, point: Array) -> Array:
    """(T, 4, 4) turns about an axis, by equal steps, starting with the identity."""
    steps = math.ceil(math.pi / MAX_SYMMETRY_STEP)
    angles = 2 * np.pi / steps * np.arange(steps)
    unit = np.asarray(direction, np.float64) / np.linalg.norm(direction)
    rotation = Rotation.from_rotvec(angles[:, None] * unit).as_matrix()
    return se3.from_rotation_translation(rotation, point - rotation @ point)


def add(estimated: Array, true: Array, points: Array) -> float:
    """Average distance between corresponding model points, metres."""
    difference = se3.transform(estimated, points) - se3.transform(true, points)
    return float(np.linalg.norm(difference, axis=1).mean())


def add_symmetric(estimated: Array, true: Array, points: Array, symmetries: Array) -> float:
    """The smallest ADD over the motions (S, 4, 4) of the object onto itself, metres."""
    return min(add(estimated, true @ motion, points) for motion in symmetries)


def add_s(estimated: Array, true: Array, points: Array) -> float:
    """Average distance from each true point to the nearest estimated one, metres (ADD-S, ADI)."""
    # distances are the same in any frame; in the object frame one tree serves every pose
    true_in_estimated = se3.transform(se3.inverse(estimated) @ true, points)
    return float(cKDTree(points).query(true_in_estimated)[0].mean())


def mssd(estimated: Array, true: Array, points: Array, symmetries: Array) -> float:
    """Maximum symmetry-aware surface distance, metres."""
    # The distance between two rigid placements of a point is a convex function of the point: its
    # maximum over the model lies at a corner of the hull.
    corners = hull_points(points)
    at_estimate = se3.transform(estimated, corners)
    return min(
        float(np.linalg.norm(at_estimate - se3.transform(true @ motion, corners), axis=1).max())
        for motion in symmetries
    )


def mspd(
    estimated: Array, true: Array, points: Array, symmetries: Array, camera: CameraIntrinsics
) -> float:
    """Maximum symmetry-aware projection distance, pixels; infinite behind the camera."""
    at_estimate = project(camera, se3.transform(estimated, points))
    errors = []
    for motion in symmetries:
        at_truth = project(camera, se3.transform(true @ motion, points))
        errors.append(np.linalg.norm(at_estimate - at_truth, axis=1).max())
    worst = np.asarray(errors)
    return float(np.where(np.isnan(worst), np.inf, worst).min())


def vsd(
    estimated: Array,
    true: Array,
    scene: RayScene,
    diameter: float,
    depth: NDArray[np.float32],
    camera: CameraIntrinsics,
    delta: float = VSD_DELTA_M,
) -> Array:
    """Compute the visible surface discrepancy for each of ``VSD_TAUS``.

    Args:
        estimated: (4, 4) cam_from_obj.
        true: (4, 4) cam_from_obj.
        scene: the model.
        diameter: of the model, metres.
        depth: (H, W) measured depth, metres, 0 where invalid.
        camera: of the depth image.
        delta: how far, in metres, a surface may lie behind the measured one to count as visible.

    Returns:
        (10,) in [0, 1].
    """
    per_depth = distance_per_depth(camera)
    measured = depth * per_depth
    at_truth = scene.render(camera, true).depth * per_depth
    at_estimate = scene.render(camera, estimated).depth * per_depth
    seen_truth = visible(at_truth, measured, delta)
    seen_estimate = visible(at_estimate, measured, delta) | (seen_truth & (at_estimate > 0))
    both, either = seen_truth & seen_estimate, seen_truth | seen_estimate
    if not either.any():
        return np.ones(len(VSD_TAUS))
    distances = np.abs(at_truth[both] - at_estimate[both]) / diameter
    wrong = (distances[:, None] >= VSD_TAUS).sum(axis=0)
    return (wrong + either.sum() - both.sum()) / either.sum()


def visible(distance: NDArray, measured: NDArray, delta: float) -> NDArray[np.bool_]:
    """Return the pixels whose rendered surface is not behind the measured one, or unmeasured."""
    return (distance > 0) & ((distance - measured <= delta) | (measured == 0))


def distance_per_depth(camera: CameraIntrinsics) -> NDArray[np.float32]:
    """(H, W) ratio of the distance from the camera centre to the depth along z."""
    v, u = np.mgrid[0 : camera.height, 0 : camera.width]
    return np.linalg.norm(ray_directions(camera, u, v), axis=-1)
