"""Height map over a plane: the mean of many frames shows things that are too flat for one."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

CELL_M = 0.004
MIN_IN_CELL = 4
LOW_M = 0.0022  # a sheet of paper is none, a plate of 3 mm is a thing
TALLEST_M = 0.03  # side walls beyond do not count


@dataclass(frozen=True)
class HeightMap:
    """Median heights over a square around the origin of a plane.

    Attributes:
        height: (N, N) metres, by x and y; NaN where too little was measured.
        radius_m: half the side of the square.
    """

    height: Array
    radius_m: float

    def raised(self, seeds: Array) -> Flags:
        """Return (N, N) cells above the plane that are connected to the points (P, 2 or 3)."""
        with np.errstate(invalid="ignore"):
            flags = (self.height > LOW_M).astype(np.uint8)
        flags = cv2.morphologyEx(flags, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
        inside = (np.abs(seeds[:, :2]) < self.radius_m).all(1)
        at = self._cells(seeds[inside, :2])
        flags[at[:, 0], at[:, 1]] = 1
        _, labels = cv2.connectedComponents(flags, connectivity=4)
        names, counts = np.unique(labels[at[:, 0], at[:, 1]], return_counts=True)
        return np.asarray(labels == names[counts.argmax()])

    def points(self, cells: Flags) -> Array:
        """Return the middles (P, 3) of cells that were measured."""
        x, y = np.nonzero(cells & np.isfinite(self.height))
        middle = np.stack([x, y], axis=1) * CELL_M - self.radius_m + CELL_M / 2
        return np.column_stack([middle, self.height[x, y]])

    def _cells(self, points: Array) -> NDArray[np.intp]:
        at = np.floor((points + self.radius_m) / CELL_M).astype(np.intp)
        return np.clip(at, 0, len(self.height) - 1)


@dataclass(frozen=True)
class Footprint:
    """Part of a plane that a thing covers, without its edge.

    Attributes:
        cells: (N, N) bool, by x and y.
        radius_m: half the side of the square around the origin.
    """

    cells: Flags
    radius_m: float

    def holds(self, x: NDArray[np.float32], y: NDArray[np.float32]) -> Flags:
        """Return whether the thing covers each place; x and y are of one shape, metres."""
        count = len(self.cells)
        column, row = (np.floor((value + self.radius_m) / CELL_M) for value in (x, y))
        inside = (column >= 0) & (row >= 0) & (column < count) & (row < count)
        at = np.where(inside, column, 0).astype(np.intp), np.where(inside, row, 0).astype(np.intp)
        return np.asarray(inside & self.cells[at])


def footprint(vertices: Array, radius_m: float) -> Footprint:
    """Return where a surface with its plane, (V, 3) in a frame whose z = 0 is it, is no plane."""
    heights = height_map(vertices, radius_m)
    with np.errstate(invalid="ignore"):
        raised = (heights.height > LOW_M).astype(np.uint8)
    return Footprint(cv2.erode(raised, np.ones((3, 3), np.uint8)) > 0, radius_m)


def height_map(points: Array, radius_m: float) -> HeightMap:
    """Return the map of points (P, 3) in a frame whose z = 0 is the plane, metres."""
    count = int(np.ceil(2 * radius_m / CELL_M))
    near = (np.abs(points[:, :2]) < radius_m).all(1) & (np.abs(points[:, 2]) < TALLEST_M)
    near_points = points[near]
    at = np.floor((near_points[:, :2] + radius_m) / CELL_M).astype(np.intp)
    cell = np.clip(at, 0, count - 1) @ [count, 1]
    order = np.lexsort((near_points[:, 2], cell))
    cell, heights = cell[order], near_points[order, 2]
    names, first, counts = np.unique(cell, return_index=True, return_counts=True)
    out = np.full(count * count, np.nan)
    enough = counts >= MIN_IN_CELL
    out[names[enough]] = heights[first[enough] + counts[enough] // 2]
    return HeightMap(out.reshape(count, count), radius_m)
