"""Projective point-to-plane ICP of many hypotheses, and their score on the depth image."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sam6d_ros.stages.kernels.common import (
    BEHIND_PENALTY,
    CONTINUES_PENALTY,
    MIN_SHOWN,
    color_similarity,
    njit_leaf,
    normal_agreement,
    pixel,
    placed,
    rotate_by_vector,
    rotated,
    set_jacobian,
    solve_spd6,
)
from sam6d_ros.stages.kernels.inputs import MovingPose

DAMPING = 0.02  # keeps directions that the depth does not bind (sliding on a plane) in place


class _Workspace(NamedTuple):
    """Arrays that one step writes: matrix (6, 6), vector (6,), step (6,), rotation (3, 3), rows."""

    matrix: NDArray[np.float64]
    vector: NDArray[np.float64]
    step: NDArray[np.float64]
    rotated: NDArray[np.float64]
    jacobian: NDArray[np.float64]
    middle: NDArray[np.float64]


@njit_leaf
def _nearest_view(pose, forward):  # type: ignore[no-untyped-def]
    """Index of the view whose direction is nearest to the one this pose shows."""
    r, t, c = pose
    x, y, z = placed(r, t, c[0], c[1], c[2])
    best, best_dot = 0, -1e9
    vx = r[0, 0] * x + r[1, 0] * y + r[2, 0] * z
    vy = r[0, 1] * x + r[1, 1] * y + r[2, 1] * z
    vz = r[0, 2] * x + r[1, 2] * y + r[2, 2] * z
    for i in range(len(forward)):
        dot = forward[i, 0] * vx + forward[i, 1] * vy + forward[i, 2] * vz
        if dot > best_dot:
            best_dot, best = dot, i
    return best


@njit(cache=True, fastmath=True, nogil=True)
def fit(maps, camera, views, rotations, translations, regions, gates, use_color):  # type: ignore[no-untyped-def]
    """Refine N poses by projective point-to-plane ICP and score them.

    Args:
        maps: RgbdMaps of the scene.
        camera: Pinhole.
        views: Views of the object.
        rotations: (N, 3, 3) float64 of cam_from_obj.
        translations: (N, 3) float64, metres.
        regions: (N,) int64, region of each pose.
        gates: Gates.
        use_color: whether colours are compared.

    Returns:
        Rotations (N, 3, 3), translations (N, 3) and scores (N,) float32.
    """
    n_hyp = len(rotations)
    out_r = rotations.copy()
    out_t = translations.copy()
    out_s = np.zeros(n_hyp, np.float32)
    steps = max(gates.iterations - 1, 1)
    space = _Workspace(
        np.empty((6, 6)), np.empty(6), np.empty(6), np.empty((3, 3)), np.empty(6), np.empty(3)
    )
    for h in range(n_hyp):
        pose = MovingPose(out_r[h], out_t[h], views.centre)
        for it in range(gates.iterations):
            gate = gates.first + (gates.last - gates.first) * it / steps
            if not _icp_step(maps, camera, views, pose, gate, use_color, space):
                break
        out_s[h] = _score(maps, camera, views, pose, regions[h], gates.last, use_color)
    return out_r, out_t, out_s


@njit_leaf
def _icp_step(maps, camera, views, pose, gate, use_color, space):  # type: ignore[no-untyped-def]  # noqa: PLR0915  (one compiled pass)
    """One damped Gauss-Newton step about the object's centre; False when too few points match."""
    depth, normals, lab = maps.depth, maps.normals, maps.lab
    fx, fy, cx, cy = camera
    rot, trans, centre = pose
    view = _nearest_view(pose, views.forward)
    points, point_normals, colors = views.points[view], views.normals[view], views.lab[view]
    height, width = depth.shape
    a, b, step, turned, jac, c = space
    for p in range(6):
        b[p] = 0.0
        for q in range(6):
            a[p, q] = 0.0
    for i in range(3):
        c[i] = trans[i] + rot[i, 0] * centre[0] + rot[i, 1] * centre[1] + rot[i, 2] * centre[2]
    used = 0.0
    arm2 = 0.0
    for i in range(len(points)):
        x, y, z = placed(rot, trans, points[i, 0], points[i, 1], points[i, 2])
        if z <= 0:
            continue
        u, v = pixel(fx * x / z + cx), pixel(fy * y / z + cy)
        if u < 0 or v < 0 or u >= width or v >= height:
            continue
        zo = depth[v, u]
        if zo <= 0 or abs(zo - z) > 2 * gate:
            continue
        mx, my, mz = normals[v, u, 0], normals[v, u, 1], normals[v, u, 2]
        if mx == 0.0 and my == 0.0 and mz == 0.0:
            continue
        nx, ny, nz = rotated(rot, point_normals[i, 0], point_normals[i, 1], point_normals[i, 2])
        w = normal_agreement(nx, ny, nz, mx, my, mz)
        e = mx * ((u - cx) / fx * zo - x) + my * ((v - cy) / fy * zo - y) + mz * (zo - z)
        if w <= 0 or abs(e) > gate:
            continue
        w *= (1 - (e / gate) ** 2) ** 2  # Tukey
        if use_color:
            w *= 0.2 + color_similarity(
                lab[v, u, 0], lab[v, u, 1], lab[v, u, 2], colors[i, 0], colors[i, 1], colors[i, 2]
            )
        rx, ry, rz = x - c[0], y - c[1], z - c[2]
        set_jacobian(jac, mx, my, mz, rx, ry, rz)
        for p in range(6):
            b[p] += w * jac[p] * e
            for q in range(p + 1):
                a[p, q] += w * jac[p] * jac[q]
        used += w
        arm2 += w * (rx * rx + ry * ry + rz * rz)
    if used < 3.0:
        return False
    for p in range(3):
        a[p, p] += DAMPING * used
        a[p + 3, p + 3] += DAMPING * arm2
    for p in range(6):
        for q in range(p + 1, 6):
            a[p, q] = a[q, p]
    if not solve_spd6(a, b, step):
        return False
    rotate_by_vector(step[3:], rot, turned)
    for i in range(3):
        c[i] += step[i]
    for i in range(3):
        for j in range(3):
            rot[i, j] = turned[i, j]
        trans[i] = c[i] - (
            turned[i, 0] * centre[0] + turned[i, 1] * centre[1] + turned[i, 2] * centre[2]
        )
    return True


@njit_leaf
def _score(maps, camera, views, pose, region, tol, use_color):  # type: ignore[no-untyped-def]
    """Score of a pose on the depth image."""
    depth, normals, lab, labels = maps
    fx, fy, cx, cy = camera
    rot, trans, _ = pose
    view = _nearest_view(pose, views.forward)
    points, point_normals, colors = views.points[view], views.normals[view], views.lab[view]
    contour = views.offset_contour[view]
    height, width = depth.shape
    got = 0.0
    shown = float(len(points))
    for i in range(len(points)):
        x, y, z = placed(rot, trans, points[i, 0], points[i, 1], points[i, 2])
        if z <= 0:
            return -1.0
        u, v = pixel(fx * x / z + cx), pixel(fy * y / z + cy)
        if u < 0 or v < 0 or u >= width or v >= height:
            continue
        zo = depth[v, u]
        if zo <= 0:
            continue
        e = zo - z
        if e > tol:
            got -= BEHIND_PENALTY
        elif e > -tol:
            nx, ny, nz = rotated(rot, point_normals[i, 0], point_normals[i, 1], point_normals[i, 2])
            w = normal_agreement(nx, ny, nz, normals[v, u, 0], normals[v, u, 1], normals[v, u, 2])
            if use_color:
                w *= color_similarity(
                    lab[v, u, 0], lab[v, u, 1], lab[v, u, 2],
                    colors[i, 0], colors[i, 1], colors[i, 2],
                )  # fmt: skip
            got += w * (1 - 0.5 * (e / tol) ** 2)
        else:
            shown -= 1.0
    beyond = 0.0
    for i in range(len(contour)):
        x, y, z = placed(rot, trans, contour[i, 0], contour[i, 1], contour[i, 2])
        u, v = pixel(fx * x / z + cx), pixel(fy * y / z + cy)
        if z <= 0 or u < 0 or v < 0 or u >= width or v >= height:
            continue
        zo = depth[v, u]
        if zo > 0 and abs(zo - z) < tol and labels[v, u] == region:
            beyond += 1.0
    weight = math.sqrt(len(points) * max(shown, MIN_SHOWN * len(points)))
    return got / weight - CONTINUES_PENALTY * beyond / len(contour)
