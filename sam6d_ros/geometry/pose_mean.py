"""The mean of poses that differ a little, and how far they scatter about it.

A difference of two poses is (x, y, z, rotation vector) in the axes of the target frame, the
rotation about the origin of the source: the order and axes of geometry_msgs/PoseWithCovariance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sam6d_ros.geometry import se3

Array = NDArray[np.float64]

MAX_STEPS = 20
CONVERGED = 1e-10  # metres and radians


def differences(poses: Array, reference: Array) -> Array:
    """(N, 6) differences of poses (N, 4, 4) from a reference (4, 4)."""
    turns = Rotation.from_matrix(poses[:, :3, :3] @ reference[:3, :3].T).as_rotvec()
    return np.hstack([poses[:, :3, 3] - reference[:3, 3], turns])


def moved(pose: Array, difference: Array) -> Array:
    """The pose (4, 4) at a difference (6,) from another (4, 4)."""
    motion = se3.exp(difference)
    return se3.from_rotation_translation(motion[:3, :3] @ pose[:3, :3], pose[:3, 3] + motion[:3, 3])


def mean_pose(poses: Array, information: Array, start: Array) -> Array:
    """The (4, 4) mean of poses (N, 4, 4), weighted by information matrices (N, 6, 6).

    Gauss-Newton on the group: the mean is where the weighted differences sum to nothing (for equal
    weights the Karcher mean: Moakher, SIAM J. Matrix Anal. 2002). Poses and ``start`` should lie
    within a right angle of one another.
    """
    total = information.sum(0)
    mean = start
    for _ in range(MAX_STEPS):
        pull = np.einsum("nij,nj->i", information, differences(poses, mean))
        step = np.linalg.solve(total, pull)
        mean = moved(mean, step)
        if np.abs(step).max() < CONVERGED:
            break
    return mean


def scatter(poses: Array, mean: Array) -> Array:
    """(6, 6) sample covariance of poses (N, 4, 4) about their mean; zeros for a single one."""
    away = differences(poses, mean)
    return away.T @ away / max(1, len(poses) - 1)


def at_other_origin(covariance: Array, arm: Array) -> Array:
    """A pose's covariance (6, 6) for an origin that lies off by ``arm`` (3,), in target axes.

    A turn about the first origin shifts the second: δt' = δt + δr × arm.
    """
    x, y, z = arm
    jacobian = np.eye(6)
    jacobian[:3, 3:] = [[0, z, -y], [-z, 0, x], [y, -x, 0]]
    return jacobian @ covariance @ jacobian.T
