"""The compiled inner loop of tracking: rendered surface points onto depth and colour together."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from sam6d_ros.stages.geometric.kernels import (
    accumulate,
    normal_agreement,
    pixel,
    placed,
    rotate_by_vector,
    rotated,
    set_jacobian,
    solve_spd6,
)
from sam6d_ros.stages.geometric.track_color_kernel import color_terms, place_spots

MIN_POINTS = 12.0  # weight of the matches below which a step proves nothing
RIM_SIGMA = 1.0  # pixels: how well a depth image shows where a surface ends
RIM_REACH = 7.0  # pixels to each side of the border that are searched in the end
COLOR_FROM = 0.7  # of the first gate: from farther off, colours draw to the next stripe
TURN_STIFFNESS = 25.0  # of the tie to the predicted turn, until colours have their say
NOWHERE = 1e6  # pixels
RIM_INNER = 3  # pixels of the surface that must be seen


@njit(cache=True, fastmath=True)
def align(  # type: ignore[no-untyped-def]
    depth, depth_camera, scene_normals, lab, nearest, farthest, lab_camera, points, normals, rim,
    outward, rim_offset, spots, colors, centre, rotation, translation, gates, sigma, rim_weight,
    color_weight, prior
):  # fmt: skip
    """Move ``rotation`` (3, 3) and ``translation`` (3,) in place onto the frame.

    Args:
        depth: (H, W) metres with its (fx, fy, cx, cy).
        scene_normals, lab, nearest, farthest: (h, w, 3) normals and colours, and the (h, w) depth
            range around each pixel, with their camera.
        points, normals: (N, 3) float32 of the rendered surface, object frame.
        rim, outward: (M, 3), (M, 2) float32 points of the silhouette's border, object frame, and
            their outward normals in the image.
        rim_offset: pixels from these points to the border itself.
        spots, colors: (K, 3) float32 surface points whose colours are known; K may be 0.
        gates: metres by which a match may be off, one per iteration.
        sigma: standard deviation of the depth, metres.
        rim_weight: of one place where the silhouette ends against one depth match.
        color_weight: likewise of one colour.
        prior: (6,) information that ties the pose to where it started.

    Returns:
        The (6, 6) information of the last iteration about the centre (shift, turn; camera axes),
        all zero when too little matched, and the share of the points that matched.
    """
    at = np.empty((len(spots), 3))
    seen = np.empty((len(spots), 3))
    matched = np.empty(len(spots), np.bool_)
    information = np.zeros((6, 6))
    vector = np.zeros(6)
    step = np.zeros(6)
    total = np.zeros(6)
    turned = np.empty((3, 3))
    used = 0.0
    for gate in gates:
        information[:] = 0.0
        vector[:] = 0.0
        used = _depth_terms(
            depth, depth_camera, scene_normals, lab_camera, points, normals, centre, rotation,
            translation, gate, sigma, information, vector,
        )  # fmt: skip
        if used < MIN_POINTS:
            information[:] = 0.0
            return information, 0.0
        _rim_terms(
            depth, depth_camera, rim, outward, rim_offset, centre, rotation, translation,
            gates[-1], RIM_REACH * gate / gates[-1], rim_weight, information, vector,
        )  # fmt: skip
        stiffness = 1.0
        if gate < COLOR_FROM * gates[0]:
            place_spots(
                nearest, farthest, lab_camera, spots, rotation, translation, gate, at, matched
            )
            color_terms(
                lab, lab_camera, at, matched, colors, centre, rotation, translation,
                color_weight, seen, information, vector,
            )  # fmt: skip
        elif len(spots) > 0:
            stiffness = TURN_STIFFNESS
        damped = information.copy()
        for p in range(6):
            tie = prior[p] * (stiffness if p >= 3 else 1.0)
            damped[p, p] += tie
            vector[p] -= tie * total[p]
        if not solve_spd6(damped, vector, step):
            information[:] = 0.0
            return information, 0.0
        rotate_by_vector(step[3:], rotation, turned)
        for i in range(3):
            c = translation[i] + step[i]
            for j in range(3):
                c += (rotation[i, j] - turned[i, j]) * centre[j]
            translation[i] = c
        rotation[:] = turned
        total += step  # small turns add up like vectors
    return information, used / len(points)


@njit(cache=True, fastmath=True)
def _depth_terms(  # type: ignore[no-untyped-def]
    depth, camera, scene_normals, normal_camera, points, normals, centre, rot, trans, gate, sigma,
    information, vector
):  # fmt: skip
    """Point to plane, with the model's normals."""
    height, width = depth.shape
    fx, fy, cx, cy = camera
    scale = 1.0 / (sigma * sigma)
    c = np.empty(3)
    for i in range(3):
        c[i] = trans[i] + rot[i, 0] * centre[0] + rot[i, 1] * centre[1] + rot[i, 2] * centre[2]
    jac = np.empty(6)
    used = 0.0
    for i in range(len(points)):
        x, y, z = placed(rot, trans, points[i, 0], points[i, 1], points[i, 2])
        if z <= 0:
            continue
        u, v = pixel(fx * x / z + cx), pixel(fy * y / z + cy)
        if u < 0 or v < 0 or u >= width or v >= height:
            continue
        zo = depth[int(v), int(u)]
        if zo <= 0 or abs(zo - z) > gate:
            continue
        nx, ny, nz = normals[i, 0], normals[i, 1], normals[i, 2]
        mx, my, mz = rotated(rot, nx, ny, nz)
        e = mx * ((u - cx) / fx * zo - x) + my * ((v - cy) / fy * zo - y) + mz * (zo - z)
        w = (1.0 - ((zo - z) / gate) ** 2) ** 2  # Tukey
        w *= _same_side(scene_normals, normal_camera, x, y, z, mx, my, mz)
        used += w
        w *= scale
        rx, ry, rz = x - c[0], y - c[1], z - c[2]
        set_jacobian(jac, mx, my, mz, rx, ry, rz)
        accumulate(jac, e, w, information, vector)
    return used


@njit(cache=True, fastmath=True, inline="always")
def _same_side(normals, camera, x, y, z, mx, my, mz):  # type: ignore[no-untyped-def]
    """In [0, 1]: whether the scene faces the way that the model does at a point."""
    fx, fy, cx, cy = camera
    u, v = pixel(fx * x / z + cx), pixel(fy * y / z + cy)
    if u < 0 or v < 0 or u >= normals.shape[1] or v >= normals.shape[0]:
        return 0.5
    n = normals[int(v), int(u)]
    return normal_agreement(mx, my, mz, n[0], n[1], n[2])


@njit(cache=True, fastmath=True)
def _rim_terms(  # type: ignore[no-untyped-def]
    depth, camera, rim, outward, offset, centre, rot, trans, tolerance, reach, weight, information,
    vector
):  # fmt: skip
    """Draw the silhouette's border to where the scene falls off behind it."""
    fx, fy, cx, cy = camera
    c = np.empty(3)
    for i in range(3):
        c[i] = trans[i] + rot[i, 0] * centre[0] + rot[i, 1] * centre[1] + rot[i, 2] * centre[2]
    jac = np.empty(6)
    for i in range(len(rim)):
        x, y, z = placed(rot, trans, rim[i, 0], rim[i, 1], rim[i, 2])
        if z <= 0:
            continue
        du, dv = outward[i, 0], outward[i, 1]
        low, high = _end_of_surface(
            depth, fx * x / z + cx, fy * y / z + cy, du, dv, z, tolerance, reach
        )
        e = low - offset if offset < low else min(high - offset, 0.0)
        if e == 0.0 or abs(e) >= reach:
            continue
        mx, my = du * fx / z, dv * fy / z
        mz = -(mx * x + my * y) / z
        rx, ry, rz = x - c[0], y - c[1], z - c[2]
        set_jacobian(jac, mx, my, mz, rx, ry, rz)
        w = weight / (RIM_SIGMA * RIM_SIGMA) * (1.0 - (e / reach) ** 2) ** 2
        accumulate(jac, e, w, information, vector)


@njit(cache=True, fastmath=True)
def _end_of_surface(depth, u, v, du, dv, z, tolerance, reach):  # type: ignore[no-untyped-def]
    """Pixels from (u, v) along (du, dv) between which a surface at depth z ends, or NOWHERE.

    It ends between its last pixel and the first one of what lies behind; sensors often see
    neither for some pixels between the two. An occluder, or a scene that goes on (the table at an
    object's foot), tells nothing.
    """
    height, width = depth.shape
    last = NOWHERE
    inner = 0
    r = -math.floor(reach)
    while r <= 2 * reach:
        x, y = pixel(u + r * du), pixel(v + r * dv)
        if x < 0 or y < 0 or x >= width or y >= height:
            break
        zo = depth[int(y), int(x)]
        if zo > 0:
            if zo < z - tolerance:
                break
            if zo <= z + tolerance:
                last = r
                inner += 1
            elif inner >= RIM_INNER:
                return last + 0.5, r - 0.5
            elif r > 0:
                break
        r += 1.0
    return NOWHERE, NOWHERE
