"""The mean of poses that differ a little, and how far they scatter about it.

A difference of two poses is (x, y, z, rotation vector) in the axes of the target frame, the
rotation about the origin of the source: the order and axes of geometry_msgs/PoseWithCovariance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.geometry import se3

Array = NDArray[np.float64]

MAX_STEPS = 20
CONVERGED = 1e-10  # metres and radians


def mean_pose(poses: Array, information: Array, start: Array) -> Array:
    """Average poses (N, 4, 4), weighted by information matrices (N, 6, 6).

    Gauss-Newton on the group: the mean is where the weighted differences sum to nothing (for equal
    weights the Karcher mean: Moakher, SIAM J. Matrix Anal. 2002). Poses and ``start`` should lie
    within a right angle of one another.

    Args:
        poses: (N, 4, 4).
        information: (N, 6, 6) inverse covariances, translation before rotation.
        start: (4, 4) pose from which the iteration starts.

    Returns:
        (4, 4) mean pose.
    """
    total = information.sum(0)
    mean = start
    for _ in range(MAX_STEPS):
        pull = np.einsum("nij,nj->i", information, se3.difference(poses, mean))
        step = np.linalg.solve(total, pull)
        mean = se3.moved(mean, step)
        if np.abs(step).max() < CONVERGED:
            break
    return mean


def scatter(poses: Array, mean: Array) -> Array:
    """Return the sample covariance of poses about their mean.

    Args:
        poses: (N, 4, 4).
        mean: (4, 4).

    Returns:
        (6, 6) in m² and rad², translation before rotation; zeros for a single pose.
    """
    away = se3.difference(poses, mean)
    return away.T @ away / max(1, len(poses) - 1)
