"""The surface of an object, as grasp sampling uses it."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.geometry.mesh import face_areas, sample_surface

Array = NDArray[np.float64]

MAX_POINTS = 60_000
# Normals that lean further apart belong to different sides; sharper edges are rounded off.
SAME_SIDE_COSINE = np.cos(np.deg2rad(25.0))
# Rays start this share of the diameter behind a surface, to be met by what comes next.
STEP = 1e-4
MAX_CROSSINGS = 8


class GraspSurface:
    """Points and normals of an object, dense enough for the smallest part of the gripper.

    Args:
        model: the object.
        spacing: wanted distance of neighbouring points, metres.
        pad_radius: over which normals are averaged, metres: scans are rough, pads are not points.
        rng: random numbers.
    """

    def __init__(
        self, model: ObjectModel, spacing: float, pad_radius: float, rng: np.random.Generator
    ) -> None:
        self.model, self.scene = model, model.scene
        self._rng, self._pad_radius = rng, pad_radius
        area = face_areas(model.vertices, model.faces).sum()
        count = int(np.clip(area / spacing**2, 500, MAX_POINTS))
        self.points, self._face, _ = sample_surface(model.vertices, model.faces, count, rng)
        self._tree = cKDTree(self.points)

    @cached_property
    def centre_of_mass(self) -> Array:
        """(3,) metres, for even density; of the surface when the mesh is not closed."""
        mesh = trimesh.Trimesh(self.model.vertices, self.model.faces, process=True)
        with np.errstate(invalid="ignore", divide="ignore"):  # of a mesh without volume
            centre = mesh.center_mass if mesh.is_volume else self.points.mean(0)
        return np.asarray(centre, np.float64)

    def pick(self, count: int) -> tuple[Array, Array]:
        """``count`` points (N, 3) spread over the surface, and their normals."""
        points, face, _ = sample_surface(self.model.vertices, self.model.faces, count, self._rng)
        return points, self.normals(points, face)

    def normals(self, points: Array, face: NDArray[np.integer]) -> Array:
        """Average the normals at points of given faces over the area that a pad would touch.

        Their sign is the face's: meshes come with mixed winding.

        Returns:
            (N, 3) unit normals.
        """
        own = self.scene.face_normals[face].astype(np.float64)
        out = own.copy()
        for index, near in enumerate(self._tree.query_ball_point(points, self._pad_radius)):
            cosine = self.scene.face_normals[self._face[near]] @ own[index]
            same = np.abs(cosine) > SAME_SIDE_COSINE
            signed = self.scene.face_normals[self._face[near]] * np.sign(cosine)[:, None]
            out[index] += signed[same].sum(0)
        return out / np.linalg.norm(out, axis=1, keepdims=True)

    def crossings(
        self, origins: Array, directions: Array, reach: float
    ) -> tuple[NDArray[np.intp], Array, NDArray[np.int32]]:
        """All the surfaces that rays pass within ``reach`` of their start.

        Returns:
            ray (C,) index of the ray, points (C, 3) and face (C,).
        """
        step = STEP * self.model.diameter
        alive = np.arange(len(origins))
        travelled = np.full(len(origins), step)
        rays, points, faces = [], [], []
        for _ in range(MAX_CROSSINGS):
            start = origins[alive] + directions[alive] * travelled[alive, None]
            hits = self.scene.cast(start.astype(np.float32), directions[alive].astype(np.float32))
            travelled[alive] += hits.distance
            found = (hits.face >= 0) & (travelled[alive] <= reach)
            alive = alive[found]
            rays.append(alive)
            points.append(origins[alive] + directions[alive] * travelled[alive, None])
            faces.append(hits.face[found])
            travelled[alive] += step
        return np.concatenate(rays), np.concatenate(points), np.concatenate(faces)
