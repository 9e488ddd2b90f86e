"""Fit hypotheses to the depth image: projective point-to-plane ICP, all hypotheses at once."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from sam6d_ros.stages.geometric.hypotheses import Hypotheses
from sam6d_ros.stages.geometric.kernels import (
    BEHIND_PENALTY,
    CONTINUES_PENALTY,
    MIN_SHOWN,
    OTHER_REGION,
    color_similarity,
    normal_agreement,
    pixel,
    placed,
    rotate_by_vector,
    rotated,
    set_jacobian,
    solve_spd6,
)
from sam6d_ros.stages.geometric.scene import SceneMaps
from sam6d_ros.stages.geometric.templates import ViewTemplates

ITERATIONS = 10
GATE_START, GATE_END = 0.12, 0.03  # in diameters: how far a match may be
DAMPING = 0.02  # keeps directions that the depth does not bind (sliding on a plane) in place
MIN_GATE_M = 0.006  # depth sensors are not better than this at a metre


def fit_to_depth(
    scene: SceneMaps,
    labels: NDArray[np.int32],
    hypotheses: Hypotheses,
    templates: ViewTemplates,
    diameter: float,
    centre_obj: NDArray[np.float64],
    use_color: bool,
    iterations: int = ITERATIONS,
    gate: tuple[float, float] = (GATE_START, GATE_END),
) -> Hypotheses:
    """Refine every hypothesis and score it anew on all points of the view it now shows.

    Scores are in [-1, 1]: the share of the view's surface that the scene shows (depth, normal and
    colour agreeing), less penalties for being seen through and for running on past the silhouette.
    """
    camera = scene.camera
    rotation = np.ascontiguousarray(hypotheses.rotation)
    translation = np.ascontiguousarray(hypotheses.translation)
    forward = np.ascontiguousarray(templates.view_from_obj[:, 2])
    rotation, translation, score = _fit(
        scene.depth, scene.normals, scene.lab, labels, hypotheses.region, camera.fx, camera.fy,
        camera.cx, camera.cy, rotation, translation, forward, templates.points,
        templates.normals, templates.lab, templates.rings, centre_obj,
        max(gate[0] * diameter, MIN_GATE_M), max(gate[1] * diameter, MIN_GATE_M),
        iterations, use_color,
    )  # fmt: skip
    return replace(hypotheses, rotation=rotation, translation=translation, score=score)


@njit(cache=True, fastmath=True)
def _nearest_view(rotation, translation, centre, forward):  # type: ignore[no-untyped-def]
    """Index of the view whose direction is nearest to the one this pose shows."""
    d = np.empty(3)
    for i in range(3):
        d[i] = translation[i]
        for j in range(3):
            d[i] += rotation[i, j] * centre[j]
    best, best_dot = 0, -1e9
    vx = rotation[0, 0] * d[0] + rotation[1, 0] * d[1] + rotation[2, 0] * d[2]
    vy = rotation[0, 1] * d[0] + rotation[1, 1] * d[1] + rotation[2, 1] * d[2]
    vz = rotation[0, 2] * d[0] + rotation[1, 2] * d[1] + rotation[2, 2] * d[2]
    for i in range(len(forward)):
        dot = forward[i, 0] * vx + forward[i, 1] * vy + forward[i, 2] * vz
        if dot > best_dot:
            best_dot, best = dot, i
    return best


@njit(parallel=True, cache=True, fastmath=True)
def _fit(  # type: ignore[no-untyped-def]
    depth, normals, lab, labels, regions, fx, fy, cx, cy, rotations, translations, forward,
    view_points, view_normals, view_lab, view_rings, centre, gate0, gate1, iterations, use_color
):  # fmt: skip
    n_hyp = len(rotations)
    out_r = rotations.copy()
    out_t = translations.copy()
    out_s = np.zeros(n_hyp, np.float32)
    for h in prange(n_hyp):
        rot = out_r[h]
        trans = out_t[h]
        for it in range(iterations):
            gate = gate0 + (gate1 - gate0) * it / max(iterations - 1, 1)
            view = _nearest_view(rot, trans, centre, forward)
            moved = _icp_step(
                depth, normals, lab, fx, fy, cx, cy, rot, trans, view_points[view],
                view_normals[view], view_lab[view], centre, gate, use_color,
            )  # fmt: skip
            if not moved:
                break
        view = _nearest_view(rot, trans, centre, forward)
        out_s[h] = _score(
            depth, normals, lab, labels, regions[h], fx, fy, cx, cy, rot, trans,
            view_points[view], view_normals[view], view_lab[view], view_rings[view], gate1,
            use_color,
        )  # fmt: skip
    return out_r, out_t, out_s


@njit(cache=True, fastmath=True)
def _icp_step(  # type: ignore[no-untyped-def]  # noqa: PLR0915  (one compiled pass)
    depth, normals, lab, fx, fy, cx, cy, rot, trans, points, point_normals, colors, centre, gate,
    use_color
):  # fmt: skip
    """One damped Gauss-Newton step about the object's centre; False when too few points match."""
    height, width = depth.shape
    a = np.zeros((6, 6))
    b = np.zeros(6)
    c = np.empty(3)
    for i in range(3):
        c[i] = trans[i] + rot[i, 0] * centre[0] + rot[i, 1] * centre[1] + rot[i, 2] * centre[2]
    jac = np.empty(6)
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
    step = np.zeros(6)
    for p in range(6):
        for q in range(p + 1, 6):
            a[p, q] = a[q, p]
    if not solve_spd6(a, b, step):
        return False
    turned = np.empty((3, 3))
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


@njit(cache=True, fastmath=True)
def _score(  # type: ignore[no-untyped-def]
    depth, normals, lab, labels, region, fx, fy, cx, cy, rot, trans, points, point_normals, colors,
    rings, tol, use_color
):  # fmt: skip
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
            if labels[v, u] != region:
                w *= OTHER_REGION
            got += w * (1 - 0.5 * (e / tol) ** 2)
        else:
            shown -= 1.0
    beyond = 0.0
    for i in range(len(rings)):
        x, y, z = placed(rot, trans, rings[i, 0], rings[i, 1], rings[i, 2])
        u, v = pixel(fx * x / z + cx), pixel(fy * y / z + cy)
        if z <= 0 or u < 0 or v < 0 or u >= width or v >= height:
            continue
        zo = depth[v, u]
        if zo > 0 and abs(zo - z) < tol and labels[v, u] == region:
            beyond += 1.0
    weight = math.sqrt(len(points) * max(shown, MIN_SHOWN * len(points)))
    return got / weight - CONTINUES_PENALTY * beyond / len(rings)
