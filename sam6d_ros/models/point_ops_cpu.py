"""The point operators as compiled loops for the CPU; ``point_ops`` says what they compute.

Numba neither reorders nor fuses float operations by default, so distances have the same bits
as in torch, and ties fall the same way.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

FAR = np.float32(1e10)  # squared distance before any point is chosen


@numba.njit(cache=True, nogil=True)
def sample_furthest(
    points: NDArray[np.float32], order: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    """(B, count) int64 indices of (B, N, 3) points; ``order`` (N,) ranks tied candidates."""
    batch, total = points.shape[0], points.shape[1]
    chosen = np.empty((batch, count), np.int64)
    axes = np.empty((3, total), np.float32)
    nearest = np.empty(total, np.float32)
    for item in range(batch):
        for k in range(total):
            for axis in range(3):
                axes[axis, k] = points[item, order[k], axis]
        nearest[:] = FAR
        last = 0
        for step in range(count):
            chosen[item, step] = order[last]
            last = _update(axes, nearest, last)
    return chosen


@numba.njit(cache=True, nogil=True)
def _update(axes: NDArray[np.float32], nearest: NDArray[np.float32], last: int) -> int:
    """Take a chosen point into account; the position of the now furthest, first of equals."""
    x, y, z = axes[0, last], axes[1, last], axes[2, last]
    for k in range(nearest.shape[0]):  # no branch that depends on data: vectorised
        dx, dy, dz = axes[0, k] - x, axes[1, k] - y, axes[2, k] - z
        nearest[k] = min(nearest[k], dx * dx + dy * dy + dz * dz)
    return int(nearest.argmax())


@numba.njit(cache=True, nogil=True)
def first_within(
    queries: NDArray[np.float32], points: NDArray[np.float32], limit: float, count: int
) -> NDArray[np.int64]:
    """(B, Q, count) int64: the first points with a squared distance below ``limit``."""
    batch, total = queries.shape[0], queries.shape[1]
    found = np.zeros((batch, total, count), np.int64)
    bound = np.float32(limit)
    for item in range(batch):
        for q in range(total):
            x, y, z = queries[item, q, 0], queries[item, q, 1], queries[item, q, 2]
            hits = 0
            for k in range(points.shape[1]):
                dx = x - points[item, k, 0]
                dy = y - points[item, k, 1]
                dz = z - points[item, k, 2]
                if dx * dx + dy * dy + dz * dz < bound:
                    found[item, q, hits] = k
                    hits += 1
                    if hits == count:
                        break
            if hits:
                found[item, q, hits:] = found[item, q, 0]
    return found
