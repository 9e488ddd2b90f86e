"""Errors of candidate poses, in diameters, as ``sam6d eval --ask-all`` counts them, but faster.

ADD-S of objects with symmetries, ADD of the others, at POINTS points instead of all vertices.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.evaluation.catalogue import FAR
from sam6d_ros.geometry import se3
from training.scenes import Truth

RIGHT, WRONG = 0.10, 0.15  # diameters; candidates between them are not learned from
POINTS = 300


def clear(error: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return (N,) which candidates are learned from: right or wrong, not between.

    Args:
        error: (N,) in diameters.
    """
    return (error < RIGHT) | (error > WRONG)


class PoseError:
    """Errors of poses of one object."""

    def __init__(self, model: ObjectModel) -> None:
        vertices = np.asarray(model.vertices, np.float64)
        chosen = np.random.default_rng(0).permutation(len(vertices))[:POINTS]
        self._points, self._diameter = vertices[chosen], model.diameter
        self._tree = cKDTree(vertices) if model.symmetries.is_symmetric else None

    def __call__(self, estimated: NDArray[np.float64], true: NDArray[np.float64]) -> float:
        """Return ADD(-S) of (4, 4) cam_from_obj, diameters; infinite where far apart."""
        if np.linalg.norm(estimated[:3, 3] - true[:3, 3]) > FAR * self._diameter:
            return float("inf")
        moved = se3.transform(se3.inverse(estimated) @ true, self._points)
        if self._tree is None:
            distance = np.linalg.norm(moved - self._points, axis=1)
        else:
            distance = self._tree.query(moved)[0]
        return float(distance.mean()) / self._diameter


def nearest(
    pose: NDArray[np.float64], name: str, truth: Sequence[Truth], error: PoseError
) -> tuple[float, int]:
    """Return the least error over the instances of a name, and the index of the instance."""
    errors = [
        error(pose, instance.cam_from_obj) if instance.name == name else np.inf
        for instance in truth
    ]
    best = int(np.argmin(errors)) if errors else -1
    return (errors[best], best) if errors and np.isfinite(errors[best]) else (float("inf"), -1)


def equal_poses(poses: NDArray[np.float64], error: PoseError) -> NDArray[np.bool_]:
    """Return (N, N) whether two poses of one object differ by less than the tolerance RIGHT."""
    out = np.eye(len(poses), dtype=bool)
    for i in range(len(poses)):
        for j in range(i):
            out[i, j] = out[j, i] = error(poses[i], poses[j]) < RIGHT
    return out
