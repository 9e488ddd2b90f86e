"""Piles: objects dropped one by one on a height map. Contacts are real, poses not stable."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sam6d_ros.geometry import se3

Array = NDArray[np.float64]
CELL_M = 0.003
MAX_POINTS = 6000  # of a mesh
TRIES = 25
ORIENTATIONS = 4  # random ones of which the flattest is taken: parts tend to lie
FREE_M = 0.002  # a place is free below this height
GAP_M = 0.004  # from the border


@dataclass(frozen=True)
class Ground:
    """Height map of what lies already; z = 0 is the table.

    Attributes:
        half: (2,) half extents of the area, metres.
        height: (X, Y) metres, changed by ``drop``.
    """

    half: Array
    height: Array

    @classmethod
    def empty(cls, half: Array) -> Ground:
        """Return a free area."""
        return cls(half, np.zeros(np.ceil(2 * half / CELL_M).astype(int) + 2))


def drop(
    ground: Ground, vertices: Array, rng: np.random.Generator, upright: bool, top_m: float
) -> Array | None:
    """Drop an object until it touches something; None if it found no place.

    Args:
        vertices: (V, 3) metres, object frame.
        upright: stand it on a side of its axes, on the table; otherwise lay it on the pile.
        top_m: height that it must stay below.
        ground: heights of what lies there.
        rng: random generator.

    Returns:
        (4, 4) world_from_obj.
    """
    points = vertices[:: max(1, len(vertices) // MAX_POINTS)]
    for _ in range(TRIES):
        rotation = _standing(rng) if upright else _lying(points, rng)
        posed = points @ rotation.T
        low, high = posed.min(0), posed.max(0)
        room = ground.half - (high - low)[:2] / 2 - GAP_M
        if (room < 0).any():
            continue
        offset = rng.uniform(-room, room) - (low + high)[:2] / 2
        cell = np.rint((posed[:, :2] + offset + ground.half) / CELL_M).astype(int)
        cell = np.clip(cell, 0, np.array(ground.height.shape) - 1)
        below = ground.height[cell[:, 0], cell[:, 1]]
        if upright and below.max() > FREE_M:
            continue
        z = float((below - posed[:, 2]).max())
        if z + high[2] > top_m:
            continue
        np.maximum.at(ground.height, (cell[:, 0], cell[:, 1]), posed[:, 2] + z)
        ground.height[:] = cv2.morphologyEx(ground.height, cv2.MORPH_CLOSE, np.ones((3, 3)))
        return se3.from_rotation_translation(rotation, np.append(offset, z))
    return None


def _standing(rng: np.random.Generator) -> Array:
    """Return a rotation that turns one of the six directions of the axes upwards."""
    up = np.eye(3)[rng.integers(3)] * rng.choice([-1, 1])
    upright, _ = Rotation.align_vectors([[0, 0, 1.0]], [up])
    return (Rotation.from_rotvec([0, 0, rng.uniform(0, 2 * np.pi)]) * upright).as_matrix()


def _lying(points: Array, rng: np.random.Generator) -> Array:
    """Return the random rotation, of a few, that leaves the least height."""
    drawn = Rotation.random(ORIENTATIONS, random_state=int(rng.integers(1 << 30))).as_matrix()
    return min(drawn, key=lambda rotation: float(np.ptp(points @ rotation[2])))
