"""The compiled inner loops of the comparison of renderings with the scene."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from sam6d_ros.stages.kernels.cells import COLOR_COLUMNS, add_color, facing
from sam6d_ros.stages.kernels.common import normal_agreement, pixel

# Columns of the sums that the kernel gathers per pose.
CELLS, MEASURED, FIT, HIDDEN, OUTSIDE, EDGE_N, EDGE, TEX_N, COLOR = range(9)
TEX = 9  # then for L, a, b: sums of model, scene, model², scene², model·scene
COLUMNS = TEX_N + COLOR_COLUMNS


@njit(cache=True, fastmath=True, nogil=True)
def gather(maps, rays, surface, rotation, tolerance, regions):  # type: ignore[no-untyped-def]
    """Sum the evidence for N poses over the rays of their grids.

    Args:
        maps: RgbdMaps of the scene.
        rays: Rays cast for the poses.
        surface: Surface of the object.
        rotation: (N, 3, 3) float64 of cam_from_obj.
        tolerance: (N,) float64 metres.
        regions: (N,) int64, region of each pose.

    Returns:
        (N, COLUMNS) float64 sums.
    """
    height, width = maps.depth.shape
    n = len(rays.grids)
    out = np.zeros((n, COLUMNS))
    normal = np.empty(3)
    for h in range(n):
        x0, y0, stride = rays.grids[h, 0], rays.grids[h, 1], rays.grids[h, 2]
        columns, rows = int(rays.grids[h, 3]), int(rays.grids[h, 4])
        tol, sums = tolerance[h], out[h]
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
                zo = maps.depth[v, u]
                e = zo - rays.distance[k]
                if zo > 0 and e < -2 * tol and maps.labels[v, u] != regions[h]:
                    sums[HIDDEN] += 1
                    continue
                if zo > 0:
                    sums[MEASURED] += 1
                    if abs(e) < 2 * tol:
                        facing(surface, rays, rotation[h], k, normal)
                        sums[FIT] += _cell_fit(normal, maps.normals, v, u, e / tol)
                        if surface.colored:
                            add_color(sums, TEX_N, maps.lab, v, u, surface, rays, k)
                _add_edge(sums, maps, rays, h, i, j, tol)
    return out


@njit(cache=True, fastmath=True, nogil=True)
def _cell_fit(normal, normals, v, u, e):  # type: ignore[no-untyped-def]
    """Depth agreement times normal agreement of one cell."""
    agreement = normal_agreement(
        normal[0], normal[1], normal[2], normals[v, u, 0], normals[v, u, 1], normals[v, u, 2]
    )
    return math.exp(-e * e) * (0.3 + 0.7 * agreement)


@njit(cache=True, fastmath=True, nogil=True)
def _add_edge(sums, maps, rays, h, i, j, tol):  # type: ignore[no-untyped-def]
    """Add edge evidence at one silhouette pixel, from both sides of the border."""
    height, width = maps.depth.shape
    x0, y0, stride = rays.grids[h, 0], rays.grids[h, 1], rays.grids[h, 2]
    columns, rows = int(rays.grids[h, 3]), int(rays.grids[h, 4])
    base = rays.offsets[h]
    z = rays.distance[base + j * columns + i]
    reach = max(2, math.ceil(4.0 / stride))
    for side in range(4):
        di = (1, -1, 0, 0)[side]
        dj = (0, 0, 1, -1)[side]
        ni, nj = i + di, j + dj
        inside = 0 <= ni < columns and 0 <= nj < rows
        if inside and rays.face[base + nj * columns + ni] >= 0:
            continue
        uo = pixel(x0 + (i + di * reach) * stride)
        vo = pixel(y0 + (j + dj * reach) * stride)
        ui = pixel(x0 + (i - di) * stride)
        vi = pixel(y0 + (j - dj) * stride)
        if uo < 0 or vo < 0 or uo >= width or vo >= height:
            continue
        if ui < 0 or vi < 0 or ui >= width or vi >= height:
            ui, vi = pixel(x0 + i * stride), pixel(y0 + j * stride)
        zo = maps.depth[vo, uo]
        if zo <= 0 or zo < z - 2 * tol:
            continue  # not measured, or an occluder stands beside: the boundary proves nothing
        sums[EDGE_N] += 1
        if zo > z + 2 * tol:
            sums[EDGE] += 1
            continue
        crease = 0.0
        no, ns = maps.normals[vo, uo], maps.normals[vi, ui]
        if (no[0] != 0 or no[1] != 0 or no[2] != 0) and (ns[0] != 0 or ns[1] != 0 or ns[2] != 0):
            dot = no[0] * ns[0] + no[1] * ns[1] + no[2] * ns[2]
            crease = min(1.0, 2.0 * (1.0 - dot))
        a, b = maps.lab[vo, uo], maps.lab[vi, ui]
        step = math.sqrt((0.6 * (a[0] - b[0])) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2)
        sums[EDGE] += max(crease, min(1.0, step / 40.0))
