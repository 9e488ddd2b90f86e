"""Equality of poses: two poses of one object whose difference decides nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.symmetry.group import expand
from sam6d_ros.geometry import se3

Array = NDArray[np.float64]

SAME_DIAMETERS = 0.1  # mean distance of the surface: a pose that is off by less is right
SAMPLES = 120  # vertices
STEP = np.radians(10)  # of a continuous symmetry


def without_equals(model: ObjectModel, poses: Array) -> list[int]:
    """Return the indices of the poses (N, 4, 4) that are equal to none before them.

    Args:
        model: the object.
        poses: (N, 4, 4) cam_from_obj.
    """
    points = np.asarray(model.vertices[:: max(1, len(model.vertices) // SAMPLES)], np.float64)
    motions = expand(model.symmetries, STEP)
    alike = np.einsum("sij,pj->spi", motions[:, :3, :3], points) + motions[:, None, :3, 3]
    kept: list[int] = []
    for index, pose in enumerate(poses):
        between = (se3.inverse(pose) @ poses[other] for other in kept)
        if all(_gap(alike, points, m) >= SAME_DIAMETERS * model.diameter for m in between):
            kept.append(index)
    return kept


def _gap(alike: Array, points: Array, motion: Array) -> float:
    """Return the smallest mean distance of moved points (P, 3) to points (S, P, 3)."""
    moved = points @ motion[:3, :3].T + motion[:3, 3]
    return float(np.linalg.norm(alike - moved, axis=2).mean(1).min())
