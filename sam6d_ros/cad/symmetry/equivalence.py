"""Poses that show a symmetric object alike: which of them is nearest to a given one."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sam6d_ros.cad.model import Symmetries
from sam6d_ros.geometry import se3

Array = NDArray[np.float64]


def displacement(cam_from_a: Array, cam_from_b: Array, points: Array) -> Array:
    """Return the root mean square distance of model points under two poses.

    Args:
        cam_from_a: (..., 4, 4).
        cam_from_b: (..., 4, 4).
        points: (N, 3), object frame.

    Returns:
        (...) in the unit of the points.
    """
    apart = se3.transform(cam_from_a, points) - se3.transform(cam_from_b, points)
    return np.sqrt((apart**2).sum(-1).mean(-1))


def nearest_equivalent(
    pose: Array, reference: Array, symmetries: Symmetries, points: Array
) -> tuple[Array, Array]:
    """Of all poses that show the object as ``pose`` does, the one nearest to ``reference``.

    Continuous turns are solved for, not sampled: about one axis in closed form, and about two
    axes (a ball) any rotation is free.

    Args:
        pose: (4, 4) cam_from_obj.
        reference: (4, 4) cam_from_obj to be near to.
        symmetries: motions of the object onto itself.
        points: (N, 3) object frame, metres: nearness is the ``displacement`` of these.

    Returns:
        The motion (4, 4) of the object onto itself with ``pose @ motion`` nearest to the
        reference, and the displacement that remains, metres.
    """
    motions = np.asarray(symmetries.discrete, np.float64)
    if len(symmetries.axes):
        motions = motions @ nearest_turns(pose @ motions, reference, symmetries.axes)
    remaining = displacement(pose @ motions, reference, points)
    best = int(remaining.argmin())
    return motions[best], remaining[best]


def nearest_turns(poses: Array, reference: Array, axes: Array) -> Array:
    """Return the rotations about continuous symmetries that bring poses nearest to a reference.

    Args:
        poses: (S, 4, 4) cam_from_obj.
        reference: (4, 4) cam_from_obj.
        axes: (A, 2, 3), A ≥ 1; of two axes (a ball) every rotation about the centre is free.

    Returns:
        (S, 4, 4) motions of the object onto itself.
    """
    (direction, point), *others = axes
    missing = np.swapaxes(poses[:, :3, :3], -1, -2) @ reference[:3, :3]
    rotation = missing if others else _about_axis(missing, direction)
    return se3.from_rotation_translation(rotation, point - rotation @ point)


def _about_axis(rotations: Array, direction: ArrayLike) -> Array:
    """Return the rotations about an axis nearest to rotations (S, 3, 3).

    The angle maximizes trace(turnᵀ · rotation), a sine wave in the angle.

    Returns:
        (S, 3, 3) rotations about the axis.
    """
    axis = np.asarray(direction, np.float64) / np.linalg.norm(direction)
    skew = np.stack(
        [
            rotations[:, 2, 1] - rotations[:, 1, 2],
            rotations[:, 0, 2] - rotations[:, 2, 0],
            rotations[:, 1, 0] - rotations[:, 0, 1],
        ],
        axis=-1,
    )
    along = np.einsum("i,sij,j->s", axis, rotations, axis)
    angles = np.arctan2(skew @ axis, np.trace(rotations, axis1=1, axis2=2) - along)
    twists = np.concatenate([np.zeros((len(angles), 3)), angles[:, None] * axis], axis=1)
    return se3.exp(twists)[:, :3, :3]
