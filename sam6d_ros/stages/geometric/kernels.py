"""Compiled helpers shared by search, fit and comparison. Arrays are float32, camera frame."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

COLOR_SCALE = 52.0  # L*a*b* units: the difference at which similarity falls to 1/4
LIGHTNESS_WEIGHT = 0.4  # lightness depends on the lamp more than on the object
COS_NORMAL_FLOOR = 0.3  # normals of noisy depth: no agreement below this cosine

BEHIND_PENALTY = 0.6  # the scene is seen where the object should block it
CONTINUES_PENALTY = 0.4  # the region goes on past the silhouette
MIN_SHOWN = 0.3  # share of an object that must be visible to count in full
OTHER_REGION = 0.7  # weight of a match outside the seed's region: regions may split an object


@njit(cache=True, inline="always")
def pixel(u):  # type: ignore[no-untyped-def]
    """Number of the pixel (or grid column) that a coordinate falls into: floor(u + 0.5).

    Pixel centres are at integers. Rounding toward zero would move coordinates left of the image
    into its first column.
    """
    return math.floor(u + 0.5)


@njit(cache=True)
def pixels(coordinates):  # type: ignore[no-untyped-def]
    """Numbers (N,) int64 of the pixels that coordinates (N,) fall into, by ``pixel``."""
    out = np.empty(len(coordinates), np.int64)
    for i in range(len(coordinates)):
        out[i] = pixel(coordinates[i])
    return out


@njit(cache=True, fastmath=True, inline="always")
def rotated(m, x, y, z):  # type: ignore[no-untyped-def]
    """Coordinates of a vector after a rotation (3, 3)."""
    return (
        m[0, 0] * x + m[0, 1] * y + m[0, 2] * z,
        m[1, 0] * x + m[1, 1] * y + m[1, 2] * z,
        m[2, 0] * x + m[2, 1] * y + m[2, 2] * z,
    )


@njit(cache=True, fastmath=True, inline="always")
def placed(m, t, x, y, z):  # type: ignore[no-untyped-def]
    """Coordinates of a point after a rotation (3, 3) and a translation (3,)."""
    return (
        m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + t[0],
        m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + t[1],
        m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + t[2],
    )


@njit(cache=True, fastmath=True, inline="always")
def set_jacobian(jac, mx, my, mz, rx, ry, rz):  # type: ignore[no-untyped-def]
    """Derivatives (6,) of a distance along m to translation and rotation, at the arm r."""
    jac[0], jac[1], jac[2] = mx, my, mz
    jac[3] = ry * mz - rz * my
    jac[4] = rz * mx - rx * mz
    jac[5] = rx * my - ry * mx


@njit(cache=True, fastmath=True, inline="always")
def color_similarity(l0, a0, b0, l1, a1, b1):  # type: ignore[no-untyped-def]
    """In (0, 1]: 1 for equal colours."""
    dl = LIGHTNESS_WEIGHT * (l0 - l1)
    d2 = dl * dl + (a0 - a1) ** 2 + (b0 - b1) ** 2
    return 1.0 / (1.0 + d2 / (COLOR_SCALE * COLOR_SCALE)) ** 2


@njit(cache=True, fastmath=True, inline="always")
def normal_agreement(nx, ny, nz, mx, my, mz):  # type: ignore[no-untyped-def]
    """In [0, 1]: cosine, cut off below COS_NORMAL_FLOOR; 0.5 where the scene normal is unknown."""
    if mx == 0.0 and my == 0.0 and mz == 0.0:
        return 0.5
    dot = nx * mx + ny * my + nz * mz
    return max(0.0, (dot - COS_NORMAL_FLOOR) / (1.0 - COS_NORMAL_FLOOR))


@njit(cache=True)
def solve_spd6(a, b, out):  # type: ignore[no-untyped-def]
    """Solve the symmetric positive definite 6×6 system a·out = b in place (Cholesky)."""
    for j in range(6):
        s = a[j, j]
        for k in range(j):
            s -= a[j, k] * a[j, k]
        if s <= 1e-20:
            return False
        diag = math.sqrt(s)
        a[j, j] = diag
        for i in range(j + 1, 6):
            s = a[i, j]
            for k in range(j):
                s -= a[i, k] * a[j, k]
            a[i, j] = s / diag
    for i in range(6):
        s = b[i]
        for k in range(i):
            s -= a[i, k] * out[k]
        out[i] = s / a[i, i]
    for i in range(5, -1, -1):
        s = out[i]
        for k in range(i + 1, 6):
            s -= a[k, i] * out[k]
        out[i] = s / a[i, i]
    return True


@njit(cache=True, fastmath=True)
def rotate_by_vector(w, rotation, out):  # type: ignore[no-untyped-def]
    """out = exp([w]×) · rotation (Rodrigues)."""
    angle = math.sqrt(w[0] * w[0] + w[1] * w[1] + w[2] * w[2])
    if angle < 1e-12:
        out[:] = rotation
        return
    x, y, z = w[0] / angle, w[1] / angle, w[2] / angle
    c, s = math.cos(angle), math.sin(angle)
    k = 1.0 - c
    m00, m01, m02 = c + x * x * k, x * y * k - z * s, x * z * k + y * s
    m10, m11, m12 = y * x * k + z * s, c + y * y * k, y * z * k - x * s
    m20, m21, m22 = z * x * k - y * s, z * y * k + x * s, c + z * z * k
    for j in range(3):
        r0, r1, r2 = rotation[0, j], rotation[1, j], rotation[2, j]
        out[0, j] = m00 * r0 + m01 * r1 + m02 * r2
        out[1, j] = m10 * r0 + m11 * r1 + m12 * r2
        out[2, j] = m20 * r0 + m21 * r1 + m22 * r2


@njit(cache=True, fastmath=True, inline="always")
def accumulate(jac, e, w, information, vector):  # type: ignore[no-untyped-def]
    """Add one residual e with its six derivatives and its weight to the normal equations."""
    for p in range(6):
        vector[p] += w * jac[p] * e
        for q in range(6):
            information[p, q] += w * jac[p] * jac[q]
