"""Compiled helpers shared by search, fit and comparison. Arrays are float32, camera frame."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

COLOR_SCALE = 52.0  # L*a*b* units: the difference at which similarity falls to 1/4
LIGHTNESS_WEIGHT = 0.4  # lightness depends on the lamp more than on the object
COS_NORMAL_FLOOR = 0.3  # normals of noisy depth: no agreement below this cosine

BEHIND_PENALTY = 0.6  # the scene is seen where the object should block it
CONTINUES_PENALTY = 0.4  # the region goes on past the silhouette
MIN_SHOWN = 0.3  # share of an object that must be visible to count in full

# Decorators of a loop that allocates nothing. Without numba's runtime it counts no references: an
# atomic addition for each array that is taken out of a tuple, 20 per placement of the search.
_WITHOUT_RUNTIME: dict[str, Any] = {"cache": True, "nogil": True, "_nrt": False}
njit_leaf: Any = njit(fastmath=True, **_WITHOUT_RUNTIME)
njit_exact_leaf: Any = njit(**_WITHOUT_RUNTIME)


@njit(cache=True, inline="always")
def pixel(u):  # type: ignore[no-untyped-def]
    """Return the number of the pixel that a coordinate falls into: floor(u + 0.5).

    Pixel centres are at integers. Rounding toward zero would move coordinates left of the image
    into its first column.

    Args:
        u: coordinate, pixels.
    """
    return math.floor(u + 0.5)


@njit(cache=True, nogil=True)
def pixels(coordinates):  # type: ignore[no-untyped-def]
    """Return the numbers of the pixels that coordinates fall into, by ``pixel``.

    Args:
        coordinates: (N,) pixels.

    Returns:
        (N,) int64.
    """
    out = np.empty(len(coordinates), np.int64)
    for i in range(len(coordinates)):
        out[i] = pixel(coordinates[i])
    return out


@njit(cache=True, fastmath=True, inline="always")
def rotated(m, x, y, z):  # type: ignore[no-untyped-def]
    """Return a vector after a rotation.

    Args:
        m: (3, 3) rotation.
        x: coordinate of the vector.
        y: likewise.
        z: likewise.

    Returns:
        The three coordinates.
    """
    return (
        m[0, 0] * x + m[0, 1] * y + m[0, 2] * z,
        m[1, 0] * x + m[1, 1] * y + m[1, 2] * z,
        m[2, 0] * x + m[2, 1] * y + m[2, 2] * z,
    )


@njit(cache=True, fastmath=True, inline="always")
def placed(m, t, x, y, z):  # type: ignore[no-untyped-def]
    """Return a point after a rotation and a translation.

    Args:
        m: (3, 3) rotation.
        t: (3,) translation.
        x: coordinate of the point.
        y: likewise.
        z: likewise.

    Returns:
        The three coordinates.
    """
    return (
        m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + t[0],
        m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + t[1],
        m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + t[2],
    )


@njit(cache=True, fastmath=True, inline="always")
def set_jacobian(jac, mx, my, mz, rx, ry, rz):  # type: ignore[no-untyped-def]
    """Write the derivatives of a distance along a direction to translation and rotation.

    Args:
        jac: (6,) float64, written.
        mx: direction m, camera frame.
        my: likewise.
        mz: likewise.
        rx: arm r from the centre of rotation to the point, metres.
        ry: likewise.
        rz: likewise.
    """
    jac[0], jac[1], jac[2] = mx, my, mz
    jac[3] = ry * mz - rz * my
    jac[4] = rz * mx - rx * mz
    jac[5] = rx * my - ry * mx


@njit(cache=True, fastmath=True, inline="always")
def color_similarity(l0, a0, b0, l1, a1, b1):  # type: ignore[no-untyped-def]
    """Return the similarity of two L*a*b* colours in (0, 1]: 1 for equal ones.

    Args:
        l0: first colour.
        a0: likewise.
        b0: likewise.
        l1: second colour.
        a1: likewise.
        b1: likewise.
    """
    dl = LIGHTNESS_WEIGHT * (l0 - l1)
    d2 = dl * dl + (a0 - a1) ** 2 + (b0 - b1) ** 2
    return 1.0 / (1.0 + d2 / (COLOR_SCALE * COLOR_SCALE)) ** 2


@njit(cache=True, fastmath=True, inline="always")
def normal_agreement(nx, ny, nz, mx, my, mz):  # type: ignore[no-untyped-def]
    """Return the agreement of two normals in [0, 1]; 0.5 where that of the scene is unknown.

    It is the cosine, cut off below COS_NORMAL_FLOOR.

    Args:
        nx: unit normal of the object.
        ny: likewise.
        nz: likewise.
        mx: unit normal of the scene, or 0.
        my: likewise.
        mz: likewise.
    """
    if mx == 0.0 and my == 0.0 and mz == 0.0:
        return 0.5
    dot = nx * mx + ny * my + nz * mz
    return max(0.0, (dot - COS_NORMAL_FLOOR) / (1.0 - COS_NORMAL_FLOOR))


@njit_exact_leaf
def solve_spd6(a, b, out):  # type: ignore[no-untyped-def]
    """Solve the symmetric positive definite 6×6 system a·out = b in place (Cholesky).

    Args:
        a: (6, 6) float64, overwritten.
        b: (6,) float64.
        out: (6,) float64, written.

    Returns:
        False if the matrix is not positive definite.
    """
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


@njit_leaf
def rotate_by_vector(w, rotation, out):  # type: ignore[no-untyped-def]
    """Write exp([w]×) · rotation (Rodrigues).

    Args:
        w: (3,) rotation vector, radians.
        rotation: (3, 3).
        out: (3, 3), written.
    """
    angle = math.sqrt(w[0] * w[0] + w[1] * w[1] + w[2] * w[2])
    if angle < 1e-12:
        for i in range(3):
            for j in range(3):
                out[i, j] = rotation[i, j]
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
    """Add one residual e with its six derivatives and its weight to the normal equations.

    Args:
        jac: (6,) float64 derivatives.
        e: the residual.
        w: its weight.
        information: (6, 6) float64, changed.
        vector: (6,) float64, changed.
    """
    for p in range(6):
        vector[p] += w * jac[p] * e
        for q in range(6):
            information[p, q] += w * jac[p] * jac[q]
