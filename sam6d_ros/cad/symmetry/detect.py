"""Find the rotations that map a mesh onto itself.

Candidates are turns about the axes of the box and of inertia, through the centre of the box or of
the surface; each is refined by ICP of the surface against itself, made an exact n-th of a turn
again, and judged by how far the turned surface lies from the surface.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from sam6d_ros.cad.model import Symmetries
from sam6d_ros.cad.symmetry.group import complete, turn
from sam6d_ros.errors import InvalidInput
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.mesh import face_areas, sample_surface

log = logging.getLogger(__name__)

Array = NDArray[np.float64]

ORDERS = (2, 3, 4, 5, 6)
_SURFACE_POINTS, _PROBES = 20_000, 1_500
_HOPELESS = 0.07  # the 90th percentile of the first distance, share of the diameter
_COARSE_STEP = 5
_MAX_CORRECTION_RAD = np.deg2rad(15)  # a refinement that turns further found another symmetry
_ICP_STEPS = 8
# Angles that no low-order symmetry has in common: only a surface of revolution keeps them all.
_FREE_ANGLES = 2 * np.pi * np.array([0.071, 0.183, 0.291, 0.377, 0.433, 0.479])


@dataclass(frozen=True)
class Tolerance:
    """Tolerances within which a rotated surface counts as the same.

    Attributes:
        p90, p95, p99: largest percentiles of the distance, shares of the diameter.
        mean_color, p90_color: largest mean and percentile of the mean RGB difference, 0-255.
    """

    p90: float
    p95: float
    p99: float
    mean_color: float = np.inf
    p90_color: float = np.inf


# Measured on scanned household objects: true flips of (dented) boxes and cans stay below 1.7 %
# (p90) and 4.8 % (p95), near-flips of a bottle or clamp below 2.2 % and 2.6 %; a mug, pitcher or
# drill exceeds 5 %.
SHAPE = Tolerance(p90=0.02, p95=0.05, p99=0.13)
# The same look: sampling alone differs by 10 (mean) / 28 on printed cartons, other prints by > 28.
LOOK = Tolerance(p90=0.015, p95=0.02, p99=0.04, mean_color=15, p90_color=35)


class SymmetrySurface:
    """A surface that can be compared with itself moved.

    Args:
        vertices: (V, 3) of the mesh, metres.
        faces: (F, 3) indices of vertices.
        colors: (V, 3) uint8 RGB, or None.
        diameter: its diameter, metres.
        obj_from_box: (4, 4) pose of its box.
    """

    def __init__(
        self,
        vertices: NDArray,
        faces: NDArray,
        colors: NDArray[np.uint8] | None,
        diameter: float,
        obj_from_box: Array,
    ) -> None:
        self.diameter, self.obj_from_box = diameter, obj_from_box
        rng = np.random.default_rng(0)
        self.points, face, weights = sample_surface(vertices, faces, _SURFACE_POINTS, rng)
        corners = np.asarray(vertices, np.float64)[faces[face]]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        self.normals = normals / np.linalg.norm(normals, axis=1, keepdims=True)
        self.tree = cKDTree(self.points)
        self.spacing = float(np.sqrt(face_areas(vertices, faces).sum() / _SURFACE_POINTS))
        self.probes, probe_face, probe_weights = sample_surface(vertices, faces, _PROBES, rng)
        self.colors = self.probe_colors = None
        if colors is not None:
            self.colors = (colors[faces[face]] * weights[:, :, None]).sum(1)
            self.probe_colors = (colors[faces[probe_face]] * probe_weights[:, :, None]).sum(1)

    def distances(self, motion: Array, step: int = 1) -> tuple[Array, NDArray[np.intp]]:
        """Return the distances of moved probes from the surface.

        Args:
            motion: (4, 4) applied to the probes.
            step: every step-th probe is used.

        Returns:
            Distance (P,) in metres, and the index of the nearest surface point (P,).
        """
        moved = se3.transform(motion, self.probes[::step])
        distance, nearest = self.tree.query(moved)
        along = np.abs(((moved - self.points[nearest]) * self.normals[nearest]).sum(1))
        return np.maximum(along, distance - self.spacing), nearest

    def is_kept_by(self, motion: Array, tolerance: Tolerance) -> bool:
        """Return whether the surface is the same after the motion and after its inverse.

        Args:
            motion: (4, 4), object frame.
            tolerance: allowed deviation.
        """
        return all(self._fits(one, tolerance) for one in (motion, se3.inverse(motion)))

    def _fits(self, motion: Array, tolerance: Tolerance) -> bool:
        distance, nearest = self.distances(motion)
        found = np.percentile(distance, [90, 95, 99]) / self.diameter
        if (found > (tolerance.p90, tolerance.p95, tolerance.p99)).any():
            return False
        if self.colors is None or self.probe_colors is None:
            return True
        difference = np.abs(self.probe_colors - self.colors[nearest]).mean(1)
        return bool(
            difference.mean() <= tolerance.mean_color
            and np.percentile(difference, 90) <= tolerance.p90_color
        )

    def refine(self, motion: Array) -> Array:
        """Refine a motion by point-to-plane ICP of the moved surface onto itself.

        Args:
            motion: (4, 4), object frame.

        Returns:
            The refined motion; the nearest 90 % of the probes decide.
        """
        for _ in range(_ICP_STEPS):
            moved = se3.transform(motion, self.probes)
            distance, nearest = self.tree.query(moved)
            keep = distance <= np.percentile(distance, 90)
            normals, centre = self.normals[nearest], moved.mean(0)
            residual = ((self.points[nearest] - moved) * normals).sum(1)
            arms = np.cross(moved - centre, normals) / self.diameter
            jacobian = np.hstack([normals, arms])[keep]
            damping = 1e-5 * keep.sum() * np.eye(6)  # surfaces of revolution slide freely
            step = np.linalg.solve(jacobian.T @ jacobian + damping, jacobian.T @ residual[keep])
            rotation = Rotation.from_rotvec(step[3:] / self.diameter).as_matrix()
            shift = centre + step[:3] - rotation @ centre
            motion = se3.from_rotation_translation(rotation, shift) @ motion
        return motion

    def centres(self) -> list[Array]:
        """List the points that an axis may pass.

        They are the centre of the box, which dents do not move, and the centroid, which lies on
        every axis, if it is elsewhere.

        Returns:
            One or two points (3,), metres.
        """
        box_centre, centroid = self.obj_from_box[:3, 3], self.points.mean(0)
        apart = np.linalg.norm(centroid - box_centre) > 0.02 * self.diameter
        return [box_centre, centroid] if apart else [box_centre]

    def axes(self) -> list[Array]:
        """Return directions of possible axes: of the box, the CAD frame and of inertia.

        Returns:
            Unit vectors (3,), none within 8° of another one.
        """
        inertia = np.linalg.eigh(np.cov(self.points.T))[1]
        found: list[Array] = []
        for direction in np.vstack([self.obj_from_box[:3, :3].T, np.eye(3), inertia.T]):
            if all(abs(direction @ have) < np.cos(np.deg2rad(8)) for have in found):
                found.append(direction)
        return found


def detect(surface: SymmetrySurface, tolerance: Tolerance) -> Symmetries:
    """Detect the rotations that keep the surface within the tolerance.

    Args:
        surface: sampled surface.
        tolerance: allowed deviation.

    Returns:
        The group that they generate.
    """
    motions: list[Array] = []
    round_axes: list[Array] = []
    for direction in surface.axes():
        found, is_round = _about(surface, direction, tolerance)
        if is_round:
            round_axes.append(found[0])
        else:
            motions += [turn(line[0], line[1], line[2][0]) for line in found]
    axes = np.stack([line[:2] for line in round_axes[:2]]) if round_axes else np.zeros((0, 2, 3))
    if len(axes) == 1:
        motions = _flip(surface, axes[0], tolerance)
    elif len(axes) > 1:
        motions = []
    else:
        motions += _diagonal_turns(surface, motions, tolerance)
    generators = np.stack(motions) if motions else np.zeros((0, 4, 4))
    return Symmetries(_group(generators, axes), axes)


def _group(generators: Array, axes: Array) -> Array:
    """Return the group (S, 4, 4) of the detected motions, or the identity if they contradict."""
    try:
        return complete(generators, axes)
    except InvalidInput as error:
        log.warning("detected symmetries are left out: %s", error)
        return np.eye(4)[None]


def _about(
    surface: SymmetrySurface, direction: Array, tolerance: Tolerance
) -> tuple[list[Array], bool]:
    """Lines (direction, point, [angle, 0, 0]) of the symmetries about one direction."""
    found: list[Array] = []
    for order in ORDERS:
        line = _symmetry_line(surface, direction, 2 * np.pi / order, tolerance)
        if line is not None:
            found.append(line)
    if len(found) >= 3:  # no polygon passes for three orders unless it is round
        for line in found:
            turns = turn(line[0], line[1], _FREE_ANGLES)
            if all(surface.is_kept_by(motion, tolerance) for motion in turns):
                return [line], True
    return found, False


def _symmetry_line(
    surface: SymmetrySurface, direction: Array, angle: float, tolerance: Tolerance
) -> Array | None:
    """The axis of a turn by this angle near a direction that keeps the surface; None if none.

    Returns:
        (3, 3): direction, a point on the axis, [angle, 0, 0].
    """
    for centre in surface.centres():
        start = turn(direction, centre, angle)
        first = np.percentile(surface.distances(start, _COARSE_STEP)[0], 90)
        if first > _HOPELESS * surface.diameter:
            continue
        refined = surface.refine(start)
        candidates = [start]
        if se3.rotation_angle(start[:3, :3], refined[:3, :3]) < _MAX_CORRECTION_RAD:
            candidates.insert(0, refined)
        for motion in candidates:
            line = _line_of(motion, centre, angle)
            if surface.is_kept_by(turn(line[0], line[1], angle), tolerance):
                return line
    return None


def _line_of(motion: Array, near: Array, angle: float) -> Array:
    """The axis of a rotation: its direction and its point nearest to ``near``."""
    vector = Rotation.from_matrix(motion[:3, :3]).as_rotvec()
    direction = vector / np.linalg.norm(vector)
    rotation = motion[:3, :3]
    # fixed point of x → R x + t in the plane across the axis
    offset = motion[:3, 3] + rotation @ near - near
    offset -= (offset @ direction) * direction
    shift = np.linalg.pinv(np.eye(3) - rotation, rcond=1e-3) @ offset
    return np.stack([direction, near + shift, [angle, 0, 0]])


def _flip(surface: SymmetrySurface, axis: Array, tolerance: Tolerance) -> list[Array]:
    """A half turn that swaps the ends of a surface of revolution, if it keeps the surface."""
    across = np.cross(axis[0], np.eye(3)[np.abs(axis[0]).argmin()])
    line = _symmetry_line(surface, across / np.linalg.norm(across), np.pi, tolerance)
    return [] if line is None else [turn(line[0], line[1], np.pi)]


def _diagonal_turns(
    surface: SymmetrySurface, motions: list[Array], tolerance: Tolerance
) -> list[Array]:
    """Half turns across a prism's axis and third turns of a cube, which no box axis shows."""
    steep = [m for m in motions if 0.1 < Rotation.from_matrix(m[:3, :3]).magnitude() < 3.0]
    if not steep:
        return []
    found = []
    axis = Rotation.from_matrix(steep[0][:3, :3]).as_rotvec()
    across = np.cross(axis, np.eye(3)[np.abs(axis).argmin()])
    for angle in np.deg2rad(np.arange(0, 180, 7.5)):
        direction = turn(axis, np.zeros(3), angle)[:3, :3] @ across
        line = _symmetry_line(surface, direction / np.linalg.norm(direction), np.pi, tolerance)
        if line is not None:
            found.append(turn(line[0], line[1], np.pi))
            break
    box_axes = surface.obj_from_box[:3, :3]
    line = _symmetry_line(surface, box_axes @ np.full(3, 3**-0.5), 2 * np.pi / 3, tolerance)
    return found if line is None else [*found, turn(line[0], line[1], 2 * np.pi / 3)]
