"""What both libraries are given: the same points of model and scene."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import trimesh
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.geometry.camera import back_project
from sam6d_ros.types import Frame

MODEL_POINTS = 5_000
RANGE_M = 1.5  # farther points are left out: none of these methods copes with a whole room


class Matcher(Protocol):
    """One library."""

    def prepare(self, model: ObjectModel) -> None:
        """Learn a model."""

    def find(self, frame: Frame, model: ObjectModel) -> tuple[NDArray, float] | None:
        """The best (4, 4) cam_from_obj in metres and its score in [0, 1]; None without a pose."""


def model_cloud(model: ObjectModel) -> tuple[NDArray, NDArray]:
    """Points and normals (N, 3) spread evenly over the surface, metres, always the same."""
    mesh = trimesh.Trimesh(model.vertices, model.faces, process=False)
    points, faces = trimesh.sample.sample_surface(mesh, MODEL_POINTS, seed=0)
    return np.asarray(points), np.asarray(mesh.face_normals[faces])


def scene_cloud(frame: Frame) -> NDArray:
    """Measured points (N, 3) within RANGE_M, metres, camera frame."""
    near = (frame.depth > 0) & (frame.depth < RANGE_M)
    return back_project(frame.camera, frame.depth)[near].astype(np.float64)


def nearest_rigid(matrix: NDArray) -> NDArray:
    """The transform with its rotation made orthonormal again (libraries compute in float32)."""
    u, _, vt = np.linalg.svd(np.asarray(matrix, np.float64)[:3, :3])
    out = np.eye(4)
    out[:3, :3] = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    out[:3, 3] = np.asarray(matrix)[:3, 3]
    return out
