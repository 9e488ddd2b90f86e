"""Measures of triangle meshes: areas, even samples, the diameter, boxes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import cdist

from sam6d_ros.geometry import se3

Array = NDArray[np.float64]

# The CAD axes are kept for the box unless a turned box saves this share of the volume: graspers
# and BOP both expect the box along the CAD axes, a scanned mesh may stand askew in its file.
ORIENTED_BOX_GAIN = 0.20
# Above this, the largest distance is searched among the support points of many directions
# (error of the diameter below 0.05 %) instead of among all pairs of hull corners.
MAX_HULL_PAIRS = 8000
_SUPPORT_DIRECTIONS = 6000
FLATNESS = 1e-7  # thickness as a share of the length, below which points are in one plane


def face_areas(vertices: NDArray, faces: NDArray) -> Array:
    """Return the areas of triangles.

    Args:
        vertices: (V, 3).
        faces: (F, 3) indices of vertices.

    Returns:
        (F,) float64, in the square of the unit of the vertices.
    """
    a, b, c = np.asarray(vertices, np.float64)[faces].transpose(1, 0, 2)
    return 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)


def sample_surface(
    vertices: NDArray, faces: NDArray, count: int, rng: np.random.Generator
) -> tuple[Array, NDArray[np.intp], Array]:
    """Sample points evenly over the surface.

    Args:
        vertices: (V, 3).
        faces: (F, 3) indices of vertices.
        count: number of points.
        rng: random generator.

    Returns:
        points (count, 3), the face of each (count,), and its weights (count, 3) of the corners.
    """
    cumulative = np.cumsum(face_areas(vertices, faces))
    # stratified: one sample per equal share of the area
    at = (np.arange(count) + rng.random(count)) / count * cumulative[-1]
    face = np.minimum(np.searchsorted(cumulative, at), len(faces) - 1)
    root, v = np.sqrt(rng.random(count)), rng.random(count)
    weights = np.stack([1 - root, root * (1 - v), root * v], axis=1)  # uniform in a triangle
    corners = np.asarray(vertices, np.float64)[faces[face]]
    return (corners * weights[:, :, None]).sum(1), face, weights


def hull_points(points: NDArray) -> Array:
    """Return the corners of the convex hull of points.

    Args:
        points: (N, 3); all in one plane or on one line is allowed.

    Returns:
        (H, 3) float64.
    """
    points = np.unique(np.asarray(points, np.float64), axis=0)
    if len(points) < 5:
        return points
    try:
        return points[ConvexHull(points).vertices]
    except QhullError:  # all in one plane or on one line
        try:
            return points[ConvexHull(points, qhull_options="QJ").vertices]
        except QhullError:
            return points


def diameter(points: NDArray) -> float:
    """Return the largest distance between two points.

    Args:
        points: (N, 3).

    Returns:
        The distance in the unit of the points.
    """
    corners = hull_points(points)
    if len(corners) > MAX_HULL_PAIRS:
        corners = _support_points(corners)
    blocks = np.array_split(corners, max(1, len(corners) // 500))
    return max(float(cdist(block, corners).max()) for block in blocks)


def _support_points(corners: Array) -> Array:
    """The outermost of the points in each of many even directions (Fibonacci sphere)."""
    index = np.arange(_SUPPORT_DIRECTIONS) + 0.5
    z = 1 - 2 * index / _SUPPORT_DIRECTIONS
    turn = np.pi * (1 + 5**0.5) * index
    radius = np.sqrt(1 - z**2)
    directions = np.stack([radius * np.cos(turn), radius * np.sin(turn), z], axis=1)
    blocks = np.array_split(directions, 20)
    best = np.concatenate([(corners @ block.T).argmax(0) for block in blocks])
    return corners[np.unique(best)]


def unit_box() -> Array:
    """Return the (8, 3) corners of a box of size 1 at the origin, in the order of index bits."""
    return np.indices((2, 2, 2)).reshape(3, -1).T.astype(np.float64) - 0.5


def box_corners(obj_from_box: NDArray, box_size: NDArray) -> Array:
    """Return the (8, 3) corners of a box in the object frame, metres; order as ``unit_box``.

    Args:
        obj_from_box: (4, 4) pose of the box, its origin in the centre.
        box_size: (3,) extents along the box axes, metres.
    """
    return se3.transform(obj_from_box, unit_box() * box_size)


def bounding_box(vertices: NDArray) -> tuple[Array, Array]:
    """Return the bounding box: along the CAD axes, or turned if that is considerably smaller.

    Args:
        vertices: (V, 3).

    Returns:
        obj_from_box: (4, 4) pose of the box (its centre and axes) in the object frame; the axes
            are named so that they turn as little as possible from the CAD axes.
        box_size: (3,) extents along the box axes.
    """
    vertices = np.asarray(vertices, np.float64)
    low, high = vertices.min(0), vertices.max(0)
    straight = se3.from_rotation_translation(np.eye(3), (low + high) / 2)
    oriented = _oriented_box(vertices)
    if oriented is None or _volume(oriented[1]) > (1 - ORIENTED_BOX_GAIN) * _volume(high - low):
        return straight, high - low
    return oriented


def _volume(size: Array) -> float:
    """Return the volume of a box; a flat one counts as slightly thick, so that areas compare."""
    return float(np.maximum(size, 10 * FLATNESS * size.max()).prod())


def _oriented_box(vertices: Array) -> tuple[Array, Array] | None:
    corners = hull_points(vertices)
    if (flat := _flat_box(corners)) is not None:
        return flat
    import trimesh  # late: code that only runs networks works without it

    try:
        box_from_obj, extents = trimesh.bounds.oriented_bounds(corners)
    except (QhullError, ValueError, IndexError, ImportError):  # nearly flat meshes
        return None
    obj_from_box = se3.inverse(box_from_obj)
    turned, order = _nearest_axes(obj_from_box[:3, :3])
    obj_from_box[:3, :3] = turned
    return obj_from_box, np.asarray(extents, np.float64)[order]


def _flat_box(corners: Array) -> tuple[Array, Array] | None:
    """Return the box of points in one plane; None if they are in none, or on a line.

    One side of the smallest rectangle around a polygon lies along an edge of its hull
    (Freeman and Shapira, 1975).
    """
    centre = corners.mean(0)
    _, spread, axes = np.linalg.svd(corners - centre, full_matrices=False)
    if len(spread) < 3 or spread[2] > FLATNESS * spread[0] or spread[1] <= FLATNESS * spread[0]:
        return None
    plane = (corners - centre) @ axes[:2].T
    hull = plane[ConvexHull(plane).vertices]
    edges = np.roll(hull, -1, axis=0) - hull
    angles = np.unique(np.arctan2(edges[:, 1], edges[:, 0]) % (np.pi / 2))
    turns = np.stack([np.cos(angles), np.sin(angles), -np.sin(angles), np.cos(angles)], axis=1)
    turned = np.einsum("kij,nj->kni", turns.reshape(-1, 2, 2), hull)
    best = np.ptp(turned, axis=1).prod(1).argmin()
    sides = turns[best].reshape(2, 2) @ axes[:2]
    rotation, _ = _nearest_axes(np.vstack([sides, np.cross(*sides)]).T)
    inside = (corners - centre) @ rotation
    middle = (inside.min(0) + inside.max(0)) / 2
    pose = se3.from_rotation_translation(rotation, centre + rotation @ middle)
    return pose, np.ptp(inside, axis=0)


def _nearest_axes(rotation: Array) -> tuple[Array, list[int]]:
    """Permute and flip the columns of a rotation so that it comes nearest to the identity."""
    left, order = [0, 1, 2], []
    for axis in range(3):
        best = max(left, key=lambda column: abs(rotation[axis, column]))
        order.append(best)
        left.remove(best)
    turned = rotation[:, order]
    turned = turned * np.where(np.diag(turned) < 0, -1.0, 1.0)
    if np.linalg.det(turned) < 0:
        turned[:, 2] *= -1
    return turned, order
