"""Registration of a second recording, for which the object was turned over, with the first.

Rotations are searched on a grid, each refined by nearest points (Besl and McKay, 1992); the best
are compared by distance and colour, then refined by point-to-plane steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from sam6d_ros.cad.mesh import Mesh
from sam6d_ros.errors import InvalidInput
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.mesh import sample_surface

Array = NDArray[np.float64]

ROTATIONS = 800  # neighbours are about 20 degrees apart
COARSE_POINTS, FINE_POINTS = 250, 4000
DENSE_POINTS = 60_000  # less than a millimetre apart: residuals are those of the surface
COARSE_STAGES = ((200, 3), (50, 4), (12, 5))  # poses kept after so many rounds of ICP
FINE_ROUNDS = 40
BOTTOM_M = 0.006  # closed flat, or next to the plane: not measured
CHOICE_M, CHOICE_LAB = 0.006, 30.0  # differences that count as no agreement at all
GATE_M = (0.012, 0.004)  # first and last gate of the refinement
MAX_MEDIAN_M = 0.0025


@dataclass(frozen=True)
class Cloud:
    """Surface samples: points and normals (N, 3) metres, colours (N, 3) L*a*b*."""

    points: Array
    normals: Array
    lab: Array

    def first(self, count: int) -> Cloud:
        """Return about so many samples, spread evenly."""
        step = max(1, len(self.points) // count)
        return Cloud(self.points[::step], self.normals[::step], self.lab[::step])


def first_from_second(first: Mesh, second: Mesh) -> Array:
    """Register two models of one object, each closed flat where it stood.

    Args:
        first: model of the first recording, z up, metres, with colours.
        second: that of the second one.

    Returns:
        (4, 4) transform.

    Raises:
        InvalidInput: the surfaces do not fit each other.
    """
    target, source = _cloud(first, FINE_POINTS), _cloud(second, FINE_POINTS)
    judged = [
        (_disagreement(pose, source.first(1000), target), pose)
        for pose in _coarse(first, second, source.first(COARSE_POINTS), target)
    ]
    best = min(judged, key=lambda row: row[0])[1]
    target = _cloud(first, DENSE_POINTS)
    tree = cKDTree(target.points)
    for gate in np.geomspace(*GATE_M, FINE_ROUNDS):
        best = _point_to_plane(best, source, target, tree, float(gate))
    distance = tree.query(se3.transform(best, source.points))[0]
    median = float(np.median(distance))
    if median > MAX_MEDIAN_M:
        raise InvalidInput(
            f"the surface of the second recording lies {1000 * median:.1f} mm from the first "
            f"(median); expected below {1000 * MAX_MEDIAN_M:.1f} mm. Is it the same object, turned "
            "over, and does each recording go all around it?"
        )
    return best


def _cloud(mesh: Mesh, count: int) -> Cloud:
    """Sample a model, without the part that stood on the plane."""
    rng = np.random.default_rng(0)
    points, faces, weights = sample_surface(mesh.vertices, mesh.faces, count, rng)
    shape = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    colors = np.full((len(mesh.vertices), 3), 128) if mesh.colors is None else mesh.colors
    rgb = (colors[mesh.faces[faces]] * weights[:, :, None]).sum(1)
    lab = cv2.cvtColor((rgb[None] / 255).astype(np.float32), cv2.COLOR_RGB2LAB)[0]
    high = np.flatnonzero(points[:, 2] > BOTTOM_M)
    high = rng.permutation(high)
    return Cloud(points[high], shape.face_normals[faces][high], lab[high].astype(np.float64))


def _coarse(first: Mesh, second: Mesh, source: Cloud, target: Cloud) -> list[Array]:
    """Return the best poses of a search over all rotations, the better part kept in each stage."""
    tree = cKDTree(target.points)
    middle = (_middle(first), _middle(second))
    rotations = Rotation.random(ROTATIONS, random_state=0).as_matrix()
    poses = se3.from_rotation_translation(rotations, middle[0] - rotations @ middle[1])
    for kept, rounds in COARSE_STAGES:
        for _ in range(rounds):
            moved = se3.transform(poses, source.points)
            distance, nearest = tree.query(moved)
            near = distance <= np.quantile(distance, 0.8, axis=1, keepdims=True)
            poses = se3.fit_points(moved, target.points[nearest], near) @ poses
        distance = tree.query(se3.transform(poses, source.points))[0]
        order = np.argsort(np.minimum(distance / CHOICE_M, 1).mean(1), kind="stable")
        poses = poses[order[:kept]]
    return list(poses)


def _middle(mesh: Mesh) -> Array:
    return np.asarray(mesh.vertices.min(0) + mesh.vertices.max(0)) / 2


def _disagreement(pose: Array, source: Cloud, target: Cloud) -> float:
    """Return a value in [0, 1] over distance, normals and colour, both ways."""
    moved = se3.transform(pose, source.points)
    normals = source.normals @ pose[:3, :3].T
    out = cKDTree(target.points).query(moved)
    back = cKDTree(moved).query(target.points)
    values = []
    pairs = (
        (out, normals, source.lab, target.normals, target.lab),
        (back, target.normals, target.lab, normals, source.lab),
    )
    for (distance, nearest), here, lab, there, other_lab in pairs:
        apart = np.minimum(distance / CHOICE_M, 1)
        turned = (1 - np.clip((here * there[nearest]).sum(1), 0, 1)) / 2
        colour = np.minimum(np.linalg.norm(lab - other_lab[nearest], axis=1) / CHOICE_LAB, 1)
        values.append(float(np.mean((apart + turned + colour) / 3)))
    return float(np.mean(values))


def _point_to_plane(pose: Array, source: Cloud, target: Cloud, tree: cKDTree, gate: float) -> Array:
    """Return the pose after one step of point-to-plane ICP (Chen and Medioni, 1992)."""
    moved = se3.transform(pose, source.points)
    turned = source.normals @ pose[:3, :3].T
    distance, nearest = tree.query(moved)
    normals = target.normals[nearest]
    near = (distance < gate) & ((normals * turned).sum(1) > 0.5)
    if near.sum() < 6:
        return pose
    points, normals = moved[near], normals[near]
    residual = ((target.points[nearest[near]] - points) * normals).sum(1)
    system = np.hstack([np.cross(points, normals), normals])
    step = np.linalg.lstsq(system, residual, rcond=None)[0]
    turn = Rotation.from_rotvec(step[:3]).as_matrix()
    return se3.from_rotation_translation(turn, step[3:]) @ pose
