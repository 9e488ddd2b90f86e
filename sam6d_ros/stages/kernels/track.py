"""The compiled inner loop of tracking: rendered surface points onto depth and colour together."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from sam6d_ros.stages.kernels.common import (
    accumulate,
    njit_leaf,
    normal_agreement,
    pixel,
    placed,
    rotate_by_vector,
    rotated,
    set_jacobian,
    solve_spd6,
)
from sam6d_ros.stages.kernels.inputs import Equations, PlacedSamples
from sam6d_ros.stages.kernels.track_color import color_terms, place_samples

MIN_POINTS = 12.0  # weight of the matches below which a step proves nothing
BOUNDARY_SIGMA = 1.0  # pixels: how well a depth image shows where a surface ends
BOUNDARY_REACH = 7.0  # pixels to each side of the border that are searched in the end
COLOR_FROM = 0.7  # of the first gate: from farther off, colours draw to the next stripe
TURN_STIFFNESS = 25.0  # of the tie to the predicted rotation, until colours count
NOWHERE = 1e6  # pixels
BOUNDARY_INNER = 3  # pixels of the surface that must be seen


@njit(cache=True, fastmath=True, nogil=True)
def align(maps, surface, samples, pose, gates, weights, prior):  # type: ignore[no-untyped-def]
    """Move a pose in place onto the frame.

    Args:
        maps: TrackMaps of the frame.
        surface: VisibleSurface of the object.
        samples: ColorSamples of the instance; may be empty.
        pose: MovingPose, changed.
        gates: (K,) float64 largest accepted distance of each iteration, metres.
        weights: TrackWeights.
        prior: (6,) float64 information of the initial pose.

    Returns:
        The (6, 6) information of the last iteration about the centre (translation, rotation;
        camera axes), all zero when too little matched, and the share of the points that matched.
    """
    count = len(samples.points)
    at, matched = np.empty((count, 3)), np.empty(count, np.bool_)
    placed_samples = PlacedSamples(at, matched, samples.lab, np.empty((count, 3)))
    rotation, translation, centre = pose
    information = np.zeros((6, 6))
    vector = np.zeros(6)
    equations = Equations(information, vector, np.empty(6))
    step = np.zeros(6)
    total = np.zeros(6)
    turned = np.empty((3, 3))
    used = 0.0
    for gate in gates:
        information[:] = 0.0
        vector[:] = 0.0
        used = _depth_terms(maps, surface, pose, gate, weights.sigma, equations)
        if used < MIN_POINTS:
            information[:] = 0.0
            return information, 0.0
        reach = BOUNDARY_REACH * gate / gates[-1]
        _boundary_terms(maps, surface, pose, gates[-1], reach, weights, equations)
        stiffness = 1.0
        if gate < COLOR_FROM * gates[0]:
            place_samples(maps, samples.points, pose, gate, at, matched)
            color_terms(maps, placed_samples, pose, weights.color, equations)
        elif count > 0:
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
    return information, used / len(surface.points)


@njit_leaf
def _depth_terms(maps, surface, pose, gate, sigma, equations):  # type: ignore[no-untyped-def]
    """Add point-to-plane distances with the model's normals; return the sum of their weights."""
    depth, points, normals = maps.depth, surface.points, surface.normals
    rot, trans, centre = pose
    height, width = depth.shape
    fx, fy, cx, cy = maps.depth_camera
    scale = 1.0 / (sigma * sigma)
    c0, c1, c2 = placed(rot, trans, centre[0], centre[1], centre[2])
    jac = equations.row
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
        w *= _same_side(maps.normals, maps.camera, x, y, z, mx, my, mz)
        used += w
        w *= scale
        rx, ry, rz = x - c0, y - c1, z - c2
        set_jacobian(jac, mx, my, mz, rx, ry, rz)
        accumulate(jac, e, w, equations.information, equations.vector)
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


@njit_leaf
def _boundary_terms(maps, surface, pose, tolerance, reach, weights, equations):  # type: ignore[no-untyped-def]
    """Add the distances of the silhouette boundary to where the scene falls off behind it."""
    depth, boundary, outward = maps.depth, surface.boundary, surface.outward
    rot, trans, centre = pose
    offset, weight = weights.boundary_offset, weights.boundary
    fx, fy, cx, cy = maps.depth_camera
    c0, c1, c2 = placed(rot, trans, centre[0], centre[1], centre[2])
    jac = equations.row
    for i in range(len(boundary)):
        x, y, z = placed(rot, trans, boundary[i, 0], boundary[i, 1], boundary[i, 2])
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
        rx, ry, rz = x - c0, y - c1, z - c2
        set_jacobian(jac, mx, my, mz, rx, ry, rz)
        w = weight / (BOUNDARY_SIGMA * BOUNDARY_SIGMA) * (1.0 - (e / reach) ** 2) ** 2
        accumulate(jac, e, w, equations.information, equations.vector)


@njit_leaf
def _end_of_surface(depth, u, v, du, dv, z, tolerance, reach):  # type: ignore[no-untyped-def]
    """Return the pixels from (u, v) along (du, dv) between which a surface ends, or NOWHERE.

    It ends between its last pixel and the first one of what lies behind; sensors often see
    neither for some pixels between the two. An occluder, or a scene that goes on (the table at an
    object's foot), is no evidence.
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
            elif inner >= BOUNDARY_INNER:
                return last + 0.5, r - 0.5
            elif r > 0:
                break
        r += 1.0
    return NOWHERE, NOWHERE
