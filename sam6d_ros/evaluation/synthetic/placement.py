"""Put things on a table so that they rest on it and do not touch. World: z up, metres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation

from sam6d_ros.geometry import se3

Array = NDArray[np.float64]

GAP_M = 0.006  # least distance between the footprints of two things
_TRIES = 300


@dataclass(frozen=True)
class Area:
    """The part of the table where things may stand.

    Attributes:
        half_x, half_y: metres from the middle of the table.
    """

    half_x: float = 0.25
    half_y: float = 0.18


def place(
    solids: Sequence[Array],
    ups: Sequence[Sequence[tuple[int, int, int]]],
    area: Area,
    rng: np.random.Generator,
) -> list[Array | None]:
    """Place things on the table z = 0; None for those that found no room.

    The footprints (convex hulls seen from above) of any two things stay ``GAP_M`` apart, so
    nothing interpenetrates.

    Args:
        solids: vertices (V, 3) of each thing.
        ups: for each thing, the directions of it that may point upwards.
        area: where they may stand.
        rng: decides everything.

    Returns:
        (4, 4) world_from_obj of each thing, or None.
    """
    taken: list[Array] = []
    poses: list[Array | None] = []
    for vertices, choices in zip(solids, ups, strict=True):
        pose = None
        for _ in range(_TRIES):
            candidate = _rest(vertices, choices[int(rng.integers(len(choices)))], area, rng)
            outline = footprint(se3.transform(candidate, vertices))
            if all(outline_gap(outline, other) > GAP_M for other in taken):
                pose = candidate
                taken.append(outline)
                break
        poses.append(pose)
    return poses


def _rest(vertices: Array, up: tuple[int, int, int], area: Area, rng: np.random.Generator) -> Array:
    """A pose with ``up`` upwards, any turn about it, the lowest point on the table."""
    upright, _ = Rotation.align_vectors([[0.0, 0.0, 1.0]], [np.asarray(up, np.float64)])
    turn = Rotation.from_rotvec([0, 0, rng.uniform(0, 2 * np.pi)])
    rotation = (turn * upright).as_matrix()
    moved = vertices @ rotation.T
    low, high = moved.min(0), moved.max(0)
    x, y = rng.uniform(-1, 1, 2) * (area.half_x, area.half_y)
    return se3.from_rotation_translation(
        rotation, [x - (low[0] + high[0]) / 2, y - (low[1] + high[1]) / 2, -low[2]]
    )


def footprint(points: Array) -> Array:
    """The outline (P, 2) of points (N, 3) seen from above, counter-clockwise."""
    flat = points[:, :2]
    return flat[ConvexHull(flat).vertices]


def outline_gap(a: Array, b: Array) -> float:
    """Return the gap of two convex outlines along the best separating edge; negative: overlap.

    A lower bound of their distance (separating axis theorem).
    """
    return max(_gap_across_edges(a, b), _gap_across_edges(b, a))


def _gap_across_edges(a: Array, b: Array) -> float:
    edges = np.roll(a, -1, axis=0) - a
    outward = np.stack([edges[:, 1], -edges[:, 0]], axis=1)
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-12)
    return float(((b[:, None] - a[None]) * outward).sum(2).min(0).max())
