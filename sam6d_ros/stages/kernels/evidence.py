"""Compiled loops that gather the evidence of a scene for and against rendered poses."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from sam6d_ros.stages.kernels.cells import COLOR_COLUMNS, add_color, facing
from sam6d_ros.stages.kernels.common import njit_leaf, normal_agreement, pixel
from sam6d_ros.stages.kernels.inputs import EDGE_DIRECTIONS

# Columns of the sums that are gathered per pose.
(
    CELLS, OUTSIDE, HIDDEN, COVERED, UNMEASURED, MEASURED, FIT, FIT_FINE, FIT_TIGHT, BEHIND, NEAR,
    RESIDUAL, FAR_BEHIND, RIM_N, RIM, RIM_ASIDE, CREASE_N, CREASE, INNER_N, INNER, NX, NY, NZ,
    TEX_N, COLOR,
) = range(25)  # fmt: skip
TEX = 25  # then for L, a, b: sums of model, scene, model², scene², model·scene
COLUMNS = TEX_N + COLOR_COLUMNS

COVER_M = 0.06  # metres: what lies nearer than this in front touches the object or nearly so
SMOOTH_COS = 0.85  # faces of neighbouring cells with a smaller cosine meet in a crease
STEP_SHARE = 0.01  # of the range: neighbouring cells farther apart are not one surface


@njit(cache=True, fastmath=True, nogil=True)
def gather(maps, rays, surface, poses, full):  # type: ignore[no-untyped-def]
    """Compare rendered poses with the scene.

    Args:
        maps: Maps of the scene.
        rays: Rays cast for the poses.
        surface: Surface of the object.
        poses: Placement of N poses.
        full: whether creases and the smooth interior are read, too: half of the time.

    Returns:
        (N, COLUMNS) float64 sums over the cells of each pose.
    """
    n = len(rays.grids)
    out = np.zeros((n, COLUMNS))
    most = 0
    for h in range(n):
        most = max(most, rays.offsets[h + 1] - rays.offsets[h])
    normals = np.empty((most if full else 0, 3), np.float32)
    normal = np.empty(3)
    for h in range(n):
        if full:
            _write_normals(rays, surface, h, normals)
        _gather_pose(out, maps, rays, surface, poses, h, normals, normal)
    return out


@njit_leaf
def _gather_pose(out, maps, rays, surface, poses, h, normals, normal):  # type: ignore[no-untyped-def]
    """Add the evidence of all cells of one pose; ``normals`` is empty for a brief comparison."""
    height, width = maps.depth.shape
    x0, y0, stride = rays.grids[h, 0], rays.grids[h, 1], rays.grids[h, 2]
    columns, rows = int(rays.grids[h, 3]), int(rays.grids[h, 4])
    sums, loose, tight = out[h], poses.loose[h], poses.tight[h]
    for j in range(rows):
        v = pixel(y0 + j * stride)
        for i in range(columns):
            k = rays.offsets[h] + j * columns + i
            if rays.face[k] < 0:
                continue
            sums[CELLS] += 1
            u = pixel(x0 + i * stride)
            if u < 0 or v < 0 or u >= width or v >= height:
                sums[OUTSIDE] += 1
                continue
            facing(surface, rays, poses.rotation[h], k, normal)
            e = maps.depth[v, u] - rays.distance[k]
            if maps.depth[v, u] <= 0:
                sums[UNMEASURED] += 1
            elif e < -max(2 * tight, loose):
                sums[HIDDEN] += 1
                if e > -COVER_M:
                    sums[COVERED] += 1
                continue
            else:
                _add_depth(sums, maps, normal, v, u, e, loose, tight)
                if surface.colored and abs(e) < 2 * loose:
                    add_color(sums, TEX_N, maps.lab, v, u, surface, rays, k)
            rim = _add_silhouette(sums, maps, rays, h, i, j, 2 * loose)
            if len(normals) > 0:
                _add_interior(sums, maps, rays, normals, h, i, j, rim)


@njit_leaf
def _write_normals(rays, surface, h, normals):  # type: ignore[no-untyped-def]
    """Write the face normals of the cells of one pose, object frame, either side."""
    first = rays.offsets[h]
    for k in range(first, rays.offsets[h + 1]):
        f = rays.face[k]
        if f >= 0:
            for a in range(3):
                normals[k - first, a] = surface.face_normals[f, a]


@njit(cache=True, fastmath=True, nogil=True, inline="always")
def _add_depth(sums, maps, normal, v, u, e, loose, tight):  # type: ignore[no-untyped-def]
    """Add the agreement of depth and normal at one measured cell that nothing hides."""
    sums[MEASURED] += 1
    n, f = maps.normals, maps.fine_normals
    wide = normal_agreement(normal[0], normal[1], normal[2], n[v, u, 0], n[v, u, 1], n[v, u, 2])
    fine = normal_agreement(normal[0], normal[1], normal[2], f[v, u, 0], f[v, u, 1], f[v, u, 2])
    best = max(wide, fine)
    q = e / loose
    if abs(q) < 2:
        w = math.exp(-q * q)
        sums[FIT] += w * (0.3 + 0.7 * wide)
        sums[FIT_FINE] += w * (0.3 + 0.7 * best)
        sums[NEAR] += 1
        sums[RESIDUAL] += abs(q)
        sums[NX] += normal[0]
        sums[NY] += normal[1]
        sums[NZ] += normal[2]
    t = e / tight
    sums[FIT_TIGHT] += (0.3 + 0.7 * best) / (1.0 + (t * t) ** 2)  # flat within the tolerance
    if t > 2:
        sums[BEHIND] += 1
    if q > 2:
        sums[FAR_BEHIND] += 1


@njit_leaf
def _add_silhouette(sums, maps, rays, h, i, j, tolerance):  # type: ignore[no-untyped-def]
    """Add the edge evidence of a cell at the silhouette boundary, and return whether it is one.

    An edge of the scene counts if it has the direction of the silhouette.

    Returns:
        Whether the cell is at the boundary.
    """
    face, grids, base = rays.face, rays.grids, rays.offsets[h]
    columns, rows = int(grids[h, 3]), int(grids[h, 4])
    k = base + j * columns + i
    if (
        0 < i < columns - 1
        and 0 < j < rows - 1
        and face[k - 1] >= 0
        and face[k + 1] >= 0
        and face[k - columns] >= 0
        and face[k + columns] >= 0
    ):
        return False
    gx, gy = 0.0, 0.0
    for dj in range(-2, 3):
        for di in range(-2, 3):
            ii, jj = i + di, j + dj
            if ii < 0 or jj < 0 or ii >= columns or jj >= rows or face[k + dj * columns + di] < 0:
                gx += di
                gy += dj
    length = math.sqrt(gx * gx + gy * gy)
    if length > 0:
        stride = grids[h, 2]
        x, y = grids[h, 0] + i * stride, grids[h, 1] + j * stride
        occluder = rays.distance[k] - tolerance
        _add_rim(sums, maps, x, y, gx / length, gy / length, stride, occluder)
    return True


@njit_leaf
def _add_interior(sums, maps, rays, normals, h, i, j, rim):  # type: ignore[no-untyped-def]
    """Add the edge evidence of one cell at a crease, or where no edge should be."""
    face, distance, grids, base = rays.face, rays.distance, rays.grids, rays.offsets[h]
    columns, rows = int(grids[h, 3]), int(grids[h, 4])
    k = j * columns + i
    u, v = pixel(grids[h, 0] + i * grids[h, 2]), pixel(grids[h, 1] + j * grids[h, 2])
    creases = 0
    if i + 1 < columns and face[base + k + 1] >= 0 and _is_crease(normals, k, k + 1):
        creases += 1
    if j + 1 < rows and face[base + k + columns] >= 0 and _is_crease(normals, k, k + columns):
        creases += 1
    if creases > 0:
        sums[CREASE_N] += creases
        sums[CREASE] += creases * maps.any_edge[v, u]
    if rim or creases > 0 or i < 2 or j < 2 or i >= columns - 2 or j >= rows - 2:
        return
    z = distance[base + k]
    smooth = True
    for dj in range(-2, 3):
        first = k + dj * columns - 2
        for other in range(first, first + 5):
            smooth = smooth and face[base + other] >= 0
            smooth = smooth and abs(distance[base + other] - z) <= STEP_SHARE * z
            smooth = smooth and not _is_crease(normals, k, other)
        if not smooth:
            break
    if smooth:
        sums[INNER_N] += 1
        if maps.steps[v, u]:
            sums[INNER] += 1


@njit_leaf
def _is_crease(normals, k, other):  # type: ignore[no-untyped-def]
    """Whether the faces of two cells meet in a crease."""
    dot = (
        normals[k, 0] * normals[other, 0]
        + normals[k, 1] * normals[other, 1]
        + normals[k, 2] * normals[other, 2]
    )
    return abs(dot) < SMOOTH_COS


@njit(cache=True, fastmath=True, nogil=True, inline="always")
def direction_of(gx, gy):  # type: ignore[no-untyped-def]
    """Return the number of the edge direction whose normal is nearest to (gx, gy).

    Args:
        gx: gradient along x.
        gy: gradient along y.
    """
    angle = math.atan2(gy, gx)
    if angle < 0:
        angle += math.pi
    return pixel(angle / math.pi * EDGE_DIRECTIONS) % EDGE_DIRECTIONS


@njit_leaf
def _add_rim(sums, maps, x, y, gx, gy, stride, occluder):  # type: ignore[no-untyped-def]
    """Add the edge evidence at one silhouette cell at (x, y) whose outward normal is (gx, gy).

    Beside a surface nearer than ``occluder`` the silhouette proves nothing.
    """
    height, width = maps.depth.shape
    beside = stride + 2
    u, v = pixel(x + gx * beside), pixel(y + gy * beside)
    if u < 0 or v < 0 or u >= width or v >= height:
        return
    if 0 < maps.depth[v, u] < occluder:
        return
    d = direction_of(gx, gy)
    u, v = pixel(x + 0.5 * gx * stride), pixel(y + 0.5 * gy * stride)
    if u < 0 or v < 0 or u >= width or v >= height:
        return
    sums[RIM_N] += 1
    sums[RIM] += maps.edges[d, v, u]
    away = max(4.0, 2 * stride)
    for side in (-1.0, 1.0):
        u, v = pixel(x + side * away * gx), pixel(y + side * away * gy)
        if u >= 0 and v >= 0 and u < width and v < height:
            sums[RIM_ASIDE] += 0.5 * maps.edges[d, v, u]
