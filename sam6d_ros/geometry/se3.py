"""Rigid transforms as 4×4 float64 matrices named ``target_from_source``.

``points_target = points_source @ R.T + t``. Quaternions are ``xyzw`` (ROS order).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from sam6d_ros.errors import InvalidInput

Array = NDArray[np.float64]


def from_rotation_translation(rotation: ArrayLike, translation: ArrayLike) -> Array:
    """Build rigid transforms from rotations and translations.

    Args:
        rotation: (..., 3, 3).
        translation: (..., 3) metres.

    Returns:
        (..., 4, 4) float64.
    """
    rot = np.asarray(rotation, dtype=np.float64)
    trans = np.asarray(translation, dtype=np.float64)
    out = np.zeros((*np.broadcast_shapes(rot.shape[:-2], trans.shape[:-1]), 4, 4))
    out[..., :3, :3] = rot
    out[..., :3, 3] = trans
    out[..., 3, 3] = 1.0
    return out


def from_quat_xyzw_translation(quat_xyzw: ArrayLike, translation: ArrayLike) -> Array:
    """Build a rigid transform from a quaternion and a translation.

    Args:
        quat_xyzw: (4,) x, y, z, w; any length above 0.
        translation: (3,) metres.

    Returns:
        (4, 4) float64.
    """
    return from_rotation_translation(Rotation.from_quat(quat_xyzw).as_matrix(), translation)


def quat_xyzw(target_from_source: ArrayLike) -> Array:
    """Return (..., 4) quaternions (x, y, z, w) with w ≥ 0 of (..., 4, 4) transforms.

    Args:
        target_from_source: (..., 4, 4) rigid transforms.
    """
    matrix = np.asarray(target_from_source, dtype=np.float64)
    flat = Rotation.from_matrix(matrix[..., :3, :3].reshape(-1, 3, 3)).as_quat()
    flat = np.where(flat[:, 3:] < 0, -flat, flat)
    return flat.reshape(*matrix.shape[:-2], 4)


def inverse(target_from_source: ArrayLike) -> Array:
    """Invert rigid transforms.

    Args:
        target_from_source: (..., 4, 4).

    Returns:
        (..., 4, 4) source_from_target, float64.
    """
    matrix = np.asarray(target_from_source, dtype=np.float64)
    rot_t = np.swapaxes(matrix[..., :3, :3], -1, -2)
    return from_rotation_translation(rot_t, -(rot_t @ matrix[..., :3, 3:])[..., 0])


def transform(target_from_source: ArrayLike, points: ArrayLike) -> Array:
    """Map points from the source into the target frame.

    Args:
        target_from_source: (..., 4, 4).
        points: (..., N, 3), source frame.

    Returns:
        (..., N, 3), target frame.
    """
    matrix = np.asarray(target_from_source, dtype=np.float64)
    rotation_t = np.swapaxes(matrix[..., :3, :3], -1, -2)
    return np.asarray(points) @ rotation_t + matrix[..., None, :3, 3]


def exp(twist: ArrayLike) -> Array:
    """Convert (..., 6) small motions (translation 3, rotation vector 3) to transforms, decoupled.

    The rotation is the exact exponential; the translation is applied as it is, which is what
    the refiners want (the two parts stay independent).

    Args:
        twist: (..., 6) translation in metres, then rotation vector in radians.

    Returns:
        (..., 4, 4) transforms.
    """
    vec = np.asarray(twist, dtype=np.float64)
    rot = Rotation.from_rotvec(vec[..., 3:].reshape(-1, 3)).as_matrix()
    return from_rotation_translation(rot.reshape(*vec.shape[:-1], 3, 3), vec[..., :3])


def log(target_from_source: ArrayLike) -> Array:
    """Return the twists (..., 6) of transforms: the inverse of ``exp``, for rotations below π.

    Args:
        target_from_source: (..., 4, 4) rigid transforms.
    """
    matrix = np.asarray(target_from_source, dtype=np.float64)
    turns = Rotation.from_matrix(matrix[..., :3, :3].reshape(-1, 3, 3)).as_rotvec()
    return np.concatenate([matrix[..., :3, 3], turns.reshape(*matrix.shape[:-2], 3)], axis=-1)


def moved(pose: ArrayLike, twist: ArrayLike, about: ArrayLike = (0.0, 0.0, 0.0)) -> Array:
    """Move a pose by a shift and a rotation in the axes of the target frame.

    Args:
        pose: (4, 4) target_from_source.
        twist: (6,) shift of the point ``about``, metres; rotation vector about it.
        about: (3,) point in the source frame.

    Returns:
        (4, 4) the moved target_from_source.
    """
    matrix, point, motion = np.asarray(pose, np.float64), np.asarray(about, np.float64), exp(twist)
    rotation = motion[:3, :3] @ matrix[:3, :3]
    place = matrix[:3, :3] @ point + matrix[:3, 3] + motion[:3, 3]
    return from_rotation_translation(rotation, place - rotation @ point)


def difference(after: ArrayLike, before: ArrayLike, about: ArrayLike = (0.0, 0.0, 0.0)) -> Array:
    """Return the twists (..., 6) with ``moved(before, twist, about) == after``.

    Args:
        after: (..., 4, 4) target_from_source.
        before: (4, 4) target_from_source.
        about: (3,) point in the source frame.
    """
    end, start = np.asarray(after, np.float64), np.asarray(before, np.float64)
    shift = (end[..., :3, :3] - start[:3, :3]) @ np.asarray(about, np.float64)
    shift = shift + end[..., :3, 3] - start[:3, 3]
    return log(from_rotation_translation(end[..., :3, :3] @ start[:3, :3].T, shift))


def shift_origin(covariance: ArrayLike, arm: ArrayLike) -> Array:
    """Return a pose's covariance (6, 6) for another origin.

    A rotation about the first origin shifts the second: δt' = δt + δr × arm.

    Args:
        covariance: (6, 6) of (shift, rotation vector) in the axes of the target frame.
        arm: (3,) from the first origin to the second, target axes, metres.
    """
    x, y, z = np.asarray(arm, np.float64)
    jacobian = np.eye(6)
    jacobian[:3, 3:] = [[0, z, -y], [-z, 0, x], [y, -x, 0]]
    return jacobian @ np.asarray(covariance, np.float64) @ jacobian.T


def rotate_covariance(covariance: ArrayLike, rotation: ArrayLike) -> Array:
    """Return a pose's covariance (6, 6) in the axes of another target frame.

    Args:
        covariance: (6, 6) of (shift, rotation vector) in the axes of the first target frame.
        rotation: (3, 3) second_from_first.
    """
    both = np.zeros((6, 6))
    both[:3, :3] = both[3:, 3:] = np.asarray(rotation, np.float64)
    return both @ np.asarray(covariance, np.float64) @ both.T


def rotation_angle(rotation_a: ArrayLike, rotation_b: ArrayLike) -> Array:
    """Return the angle between rotations.

    Args:
        rotation_a: (..., 3, 3).
        rotation_b: (..., 3, 3).

    Returns:
        (...) radians in [0, π].
    """
    a, b = np.asarray(rotation_a, np.float64), np.asarray(rotation_b, np.float64)
    relative = np.swapaxes(a, -1, -2) @ b
    # atan2 of the antisymmetric part stays exact near 0, where arccos of the trace does not.
    skew = np.stack(
        [
            relative[..., 2, 1] - relative[..., 1, 2],
            relative[..., 0, 2] - relative[..., 2, 0],
            relative[..., 1, 0] - relative[..., 0, 1],
        ],
        axis=-1,
    )
    trace = np.trace(relative, axis1=-2, axis2=-1)
    return np.arctan2(np.linalg.norm(skew, axis=-1), trace - 1.0)


def fit_points(source: ArrayLike, target: ArrayLike, weights: ArrayLike = 1.0) -> Array:
    """Return the rigid motions that take points nearest to others (Umeyama, PAMI 1991).

    Args:
        source: (..., N, 3) points, N at least 3.
        target: (..., N, 3) where each belongs.
        weights: (..., N) of each pair, 0 or more.

    Returns:
        (..., 4, 4) transforms.
    """
    start, end = np.asarray(source, np.float64), np.asarray(target, np.float64)
    weight = np.broadcast_to(np.asarray(weights, np.float64), start.shape[:-1])
    weight = (weight / weight.sum(-1, keepdims=True))[..., None]
    from_middle, to_middle = ((weight * points).sum(-2, keepdims=True) for points in (start, end))
    product = np.swapaxes(weight * (start - from_middle), -1, -2) @ (end - to_middle)
    left, _, right = np.linalg.svd(product)
    flip = np.ones((*product.shape[:-2], 3))
    flip[..., 2] = np.sign(np.linalg.det(left) * np.linalg.det(right))
    rotation = np.swapaxes(left * flip[..., None, :] @ right, -1, -2)
    moved = (rotation @ np.swapaxes(from_middle, -1, -2))[..., 0]
    return from_rotation_translation(rotation, to_middle[..., 0, :] - moved)


def check_rigid(matrix: ArrayLike, name: str = "transform", tolerance: float = 1e-3) -> Array:
    """Return the (4, 4) matrix as float64 when it is a rigid transform.

    Args:
        matrix: the transform.
        name: of the transform, for the error text.
        tolerance: largest deviation of R·Rᵀ from the identity, and of the last row.

    Raises:
        InvalidInput: wrong shape, not finite, the rotation is not orthonormal, or the last row is
            not 0 0 0 1.
    """
    out = np.asarray(matrix, dtype=np.float64)
    if out.shape != (4, 4) or not np.isfinite(out).all():
        raise InvalidInput(f"{name} is {out.shape} or not finite; expected a finite (4, 4) matrix")
    error = np.abs(out[:3, :3] @ out[:3, :3].T - np.eye(3)).max()
    if error > tolerance or np.linalg.det(out[:3, :3]) < 0:
        raise InvalidInput(f"{name} has no proper rotation (R·Rᵀ is off by {error:.2g})")
    if not np.allclose(out[3], [0, 0, 0, 1], rtol=0, atol=tolerance):
        raise InvalidInput(
            f"{name} has the last row {out[3].tolist()}; expected [0, 0, 0, 1]. Transpose a matrix "
            "that is written by columns, with its translation in the last row"
        )
    return out
