"""Choice of hypotheses that differ, and of points that are spread evenly."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def choose_diverse(rotation, centres, place, shift, cos_angle, quota, n_place):  # type: ignore[no-untyped-def]
    """Return the numbers of the hypotheses to keep: the first ones of each place that differ.

    Args:
        rotation: (N, 3, 3) float64, best first.
        centres: (N, 3) float64 metres.
        place: (N,) int64, number of the place of each.
        shift: distance below which two may be alike, metres.
        cos_angle: cosine of the angle below which two may be alike.
        quota: largest number of each place.
        n_place: number of places.

    Returns:
        (K,) int64, ascending.
    """
    kept = np.empty((n_place, quota), np.int64)
    count = np.zeros(n_place, np.int64)
    chosen = np.zeros(len(centres), np.bool_)
    for i in range(len(centres)):
        g = place[i]
        if count[g] == quota:
            continue
        fresh = True
        for j in range(count[g]):
            k = kept[g, j]
            d2 = 0.0
            trace = 0.0
            for a in range(3):
                d2 += (centres[i, a] - centres[k, a]) ** 2
                for b in range(3):
                    trace += rotation[i, a, b] * rotation[k, a, b]
            if d2 < shift * shift and (trace - 1) / 2 > cos_angle:
                fresh = False
                break
        if fresh:
            kept[g, count[g]] = i
            count[g] += 1
            chosen[i] = True
    return np.flatnonzero(chosen)


@njit(cache=True)
def spread(points, count):  # type: ignore[no-untyped-def]
    """Return the numbers of points chosen by farthest-point sampling.

    Args:
        points: (N, 2) float32.
        count: number of choices; they repeat cyclically beyond N.

    Returns:
        (count,) int64.
    """
    n = len(points)
    out = np.zeros(count, np.int64)
    best = np.full(n, np.inf, np.float32)
    current = 0
    mean_x, mean_y = points[:, 0].mean(), points[:, 1].mean()
    nearest = np.inf
    for i in range(n):
        d = (points[i, 0] - mean_x) ** 2 + (points[i, 1] - mean_y) ** 2
        if d < nearest:
            nearest, current = d, i
    for k in range(count):
        if k >= n:
            out[k] = out[k - n]
            continue
        out[k] = current
        far = -1.0
        nxt = 0
        for i in range(n):
            d = (points[i, 0] - points[current, 0]) ** 2 + (points[i, 1] - points[current, 1]) ** 2
            if d < best[i]:
                best[i] = d
            if best[i] > far:
                far, nxt = best[i], i
        current = nxt
    return out
