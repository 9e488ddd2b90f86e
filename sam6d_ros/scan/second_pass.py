"""Registration of a second recording, for which the object was turned over, with the first.

Rotations are searched on a grid, each refined by nearest points (Besl and McKay, 1992), the best by
point-to-plane steps. Each recording has carved free space out of a closed model that contains the
object, as in space carving (Kutulakos and Seitz, IJCV 2000): the best pose has the least measured
surface of one recording in the free space of the other, and the colours that agree best.
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
COARSE_POINTS, COARSE_TARGET, FINE_POINTS = 250, 4000, 4000
DENSE_POINTS = 60_000  # less than a millimetre apart: residuals are those of the surface
COARSE_STAGES = ((200, 3), (50, 4), (24, 5))  # poses kept after so many rounds of ICP
JUDGED_POINTS, JUDGED_ROUNDS, FINE_ROUNDS = 1000, 15, 40
BOTTOM_M = 0.006  # closed flat, or next to the plane: not measured
FLAT_M = 0.012  # twice that: of a lower thing the two recordings share no surface
CHOICE_M, CHOICE_LAB = 0.006, 30.0  # differences that count as no agreement at all
SAME_M = 0.003  # distance up to which two colours are those of one place
GATE_M = (0.012, 0.004)  # first and last gate of the refinement
MAX_MEDIAN_M = 0.0025


@dataclass(frozen=True)
class Cloud:
    """Surface samples of a model.

    Attributes:
        points, normals: (N, 3) metres.
        lab: (N, 3) colours, L*a*b*.
        measured: (N,) bool, False for the part that stood on the plane.
    """

    points: Array
    normals: Array
    lab: Array
    measured: NDArray[np.bool_]

    def some(self, count: int) -> Cloud:
        """Return about so many measured samples, spread evenly."""
        kept = np.flatnonzero(self.measured)
        kept = kept[:: max(1, len(kept) // count)]
        return Cloud(self.points[kept], self.normals[kept], self.lab[kept], self.measured[kept])


def first_from_second(first: Mesh, second: Mesh) -> Array:
    """Register two models of one object, each closed flat where it stood.

    Args:
        first: model of the first recording, z up, metres, with colours.
        second: that of the second one.

    Returns:
        (4, 4) transform.

    Raises:
        InvalidInput: an object is flat, or the surfaces do not fit each other.
    """
    for name, mesh in (("first", first), ("second", second)):
        _check_height(name, float(np.ptp(mesh.vertices[:, 2])))
    target, source = _cloud(first), _cloud(second)
    trees = cKDTree(target.points), cKDTree(source.points)
    few = source.some(JUDGED_POINTS)
    coarse = _coarse((_middle(first), _middle(second)), source.some(COARSE_POINTS), target)
    fitted = [_refined(pose, few, target, trees[0], JUDGED_ROUNDS) for pose in coarse]
    best = min(fitted, key=lambda pose: _disagreement(pose, source, target, trees))
    source = source.some(FINE_POINTS)
    best = _refined(best, source, target, trees[0], FINE_ROUNDS)
    distance = trees[0].query(se3.transform(best, source.points))[0]
    median = float(np.median(distance))
    if median > MAX_MEDIAN_M:
        raise InvalidInput(
            f"the surface of the second recording lies {1000 * median:.1f} mm from the first "
            f"(median); expected below {1000 * MAX_MEDIAN_M:.1f} mm. Is it the same object, turned "
            "over, and does each recording go all around it?"
        )
    return best


def _check_height(name: str, height_m: float) -> None:
    """Refuse flat things.

    Raises:
        InvalidInput: the recordings share no measured surface.
    """
    if height_m < FLAT_M:
        raise InvalidInput(
            f"the object is flat: {1000 * height_m:.0f} mm high in the {name} recording; a second "
            f"one needs {1000 * FLAT_M:.0f} mm, to see a part of the same surface. Leave --second "
            "out: the bottom is then closed flat"
        )


def _cloud(mesh: Mesh) -> Cloud:
    """Sample a model."""
    rng = np.random.default_rng(0)
    points, faces, weights = sample_surface(mesh.vertices, mesh.faces, DENSE_POINTS, rng)
    order = rng.permutation(len(points))
    points, faces, weights = points[order], faces[order], weights[order]
    normals = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).face_normals[faces]
    high = points[:, 2] > BOTTOM_M
    points[~high & (normals[:, 2] < -0.5), 2] = 0  # it stood there, however it was closed
    colors = np.full((len(mesh.vertices), 3), 128) if mesh.colors is None else mesh.colors
    rgb = (colors[mesh.faces[faces]] * weights[:, :, None]).sum(1)
    lab = cv2.cvtColor((rgb[None] / 255).astype(np.float32), cv2.COLOR_RGB2LAB)[0]
    return Cloud(points, normals, lab.astype(np.float64), high)


def _coarse(middle: tuple[Array, Array], source: Cloud, target: Cloud) -> list[Array]:
    """Return the best poses of a search over all rotations, the better part kept in each stage.

    Args:
        middle: of the first model and of the second, (3,) metres.
        source: the second model.
        target: the first one.
    """
    tree = cKDTree(target.points[:COARSE_TARGET])
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


def _disagreement(
    pose: Array, source: Cloud, target: Cloud, trees: tuple[cKDTree, cKDTree]
) -> float:
    """Return a value in [0, 2]: measured surface in free space, and colour, both ways."""
    ways = (
        (source.some(JUDGED_POINTS), target, trees[0], pose),
        (target.some(JUDGED_POINTS), source, trees[1], se3.inverse(pose)),
    )
    return float(np.mean([_contradiction(*way) for way in ways]))


def _contradiction(measured: Cloud, solid: Cloud, tree: cKDTree, pose: Array) -> float:
    """Return how much the surface of one recording contradicts the closed model of the other."""
    moved = se3.transform(pose, measured.points)
    distance, nearest = tree.query(moved)
    before = ((moved - solid.points[nearest]) * solid.normals[nearest]).sum(1) > 0
    free = np.where(before, np.minimum(distance / CHOICE_M, 1), 0)
    facing = ((measured.normals @ pose[:3, :3].T) * solid.normals[nearest]).sum(1) > 0.5
    same = (distance < SAME_M) & facing & solid.measured[nearest]
    apart = np.linalg.norm(measured.lab - solid.lab[nearest], axis=1) / CHOICE_LAB
    colour = np.minimum(apart[same], 1).mean() if same.any() else 1.0
    return float(free.mean() + colour)


def _refined(pose: Array, source: Cloud, target: Cloud, tree: cKDTree, rounds: int) -> Array:
    """Return the pose after point-to-plane steps with a gate that narrows."""
    for gate in np.geomspace(*GATE_M, rounds):
        pose = _point_to_plane(pose, source, target, tree, float(gate))
    return pose


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
    # Tukey's biweight: a bottom that was closed flat, and is hollow, does not pull
    weight = (1 - np.minimum(distance[near] / gate, 1) ** 2)[:, None]
    system = np.hstack([np.cross(points, normals), normals]) * weight
    step = np.linalg.lstsq(system, residual * weight[:, 0], rcond=None)[0]
    turn = Rotation.from_rotvec(step[:3]).as_matrix()
    return se3.from_rotation_translation(turn, step[3:]) @ pose
