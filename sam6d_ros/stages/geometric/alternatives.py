"""Alternatives of an estimate, and a covariance that covers them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.geometry import se3
from sam6d_ros.types import Alternative

Array = NDArray[np.float64]

MIN_PROBABILITY = 0.05  # of an alternative that is reported


def alternatives_of(name: str, poses: Array, probability: Array) -> tuple[Alternative, ...]:
    """Return the other poses (N, 4, 4) of one instance that are probable enough.

    Args:
        name: class id of the object.
        poses: (N, 4, 4) cam_from_obj.
        probability: (N,) of each pose.
    """
    return tuple(
        Alternative(name, pose, float(value))
        for pose, value in zip(poses, probability, strict=True)
        if value >= MIN_PROBABILITY
    )


def covering(covariance: Array, pose: Array, others: Array, probability: Array) -> Array:
    """Return a covariance (6, 6) that is widened by the spread of the alternatives.

    Args:
        covariance: (6, 6) of the pose by itself.
        pose: (4, 4) cam_from_obj.
        others: (N, 4, 4) alternatives.
        probability: (1 + N,) of the pose and the alternatives.
    """
    weight = probability[1:] / max(float(probability.sum()), 1e-9)
    for other, share in zip(others, weight, strict=True):
        if share < MIN_PROBABILITY:
            continue
        turn = se3.log(se3.from_rotation_translation(other[:3, :3] @ pose[:3, :3].T, np.zeros(3)))
        difference = np.concatenate([other[:3, 3] - pose[:3, 3], turn[3:]])
        covariance = covariance + share * np.outer(difference, difference)
    return covariance
