"""The compiled inner loops of the comparison of renderings with the scene."""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from sam6d_ros.stages.geometric.kernels import color_similarity, normal_agreement, pixel, rotated

# Columns of the sums that the kernel gathers per pose.
(
    CELLS, MEASURED, FIT, HIDDEN, OUTSIDE, COLOR, EDGE_N, EDGE, TEX_N,
) = range(9)  # fmt: skip
TEX = 9  # then for L, a, b: sums of model, scene, model², scene², model·scene
COLUMNS = TEX + 15


@njit(parallel=True, cache=True, fastmath=True)
def fill_rays(origins, directions, offsets, grids, rotation, translation, fx, fy, cx, cy):  # type: ignore[no-untyped-def]
    for h in prange(len(grids)):
        x0, y0, stride = grids[h, 0], grids[h, 1], grids[h, 2]
        columns, rows = int(grids[h, 3]), int(grids[h, 4])
        r, t = rotation[h], translation[h]
        ox = -(r[0, 0] * t[0] + r[1, 0] * t[1] + r[2, 0] * t[2])
        oy = -(r[0, 1] * t[0] + r[1, 1] * t[1] + r[2, 1] * t[2])
        oz = -(r[0, 2] * t[0] + r[1, 2] * t[1] + r[2, 2] * t[2])
        k = offsets[h]
        for j in range(rows):
            dy = (y0 + j * stride - cy) / fy
            for i in range(columns):
                dx = (x0 + i * stride - cx) / fx
                origins[k, 0], origins[k, 1], origins[k, 2] = ox, oy, oz
                directions[k, 0] = r[0, 0] * dx + r[1, 0] * dy + r[2, 0]
                directions[k, 1] = r[0, 1] * dx + r[1, 1] * dy + r[2, 1]
                directions[k, 2] = r[0, 2] * dx + r[1, 2] * dy + r[2, 2]
                k += 1


@njit(parallel=True, cache=True, fastmath=True)
def gather(  # type: ignore[no-untyped-def]
    depth, normals, lab, labels, regions, offsets, grids, face, distance, bary, faces, vertex_lab,
    face_normals, rotation, directions, tolerance, use_color
):  # fmt: skip
    height, width = depth.shape
    n = len(grids)
    out = np.zeros((n, COLUMNS))
    for h in prange(n):
        x0, y0, stride = grids[h, 0], grids[h, 1], grids[h, 2]
        columns, rows = int(grids[h, 3]), int(grids[h, 4])
        base, tol, rot = offsets[h], tolerance[h], rotation[h]
        reach = max(2, math.ceil(4.0 / stride))
        for j in range(rows):
            v = pixel(y0 + j * stride)
            for i in range(columns):
                k = base + j * columns + i
                f = face[k]
                if f < 0:
                    continue
                out[h, CELLS] += 1
                u = pixel(x0 + i * stride)
                if u < 0 or v < 0 or u >= width or v >= height:
                    out[h, OUTSIDE] += 1
                    continue
                z = distance[k]
                zo = depth[v, u]
                e = zo - z
                in_front = zo > 0 and e < -2 * tol
                hidden = in_front and labels[v, u] != regions[h]
                if hidden:
                    out[h, HIDDEN] += 1
                elif zo > 0:
                    out[h, MEASURED] += 1
                    if abs(e) < 2 * tol:
                        out[h, FIT] += _cell_fit(
                            face_normals, f, rot, directions, k, normals, v, u, e / tol
                        )
                        if use_color:
                            _add_color(out, h, lab, v, u, faces, f, bary, k, vertex_lab)
                if not hidden:
                    _add_edge(
                        out, h, i, j, columns, rows, base, face, reach, x0, y0, stride, depth,
                        normals, lab, z, tol, u, v,
                    )  # fmt: skip
    return out


@njit(cache=True, fastmath=True)
def _cell_fit(face_normals, f, rot, directions, k, normals, v, u, e):  # type: ignore[no-untyped-def]
    """Depth agreement times normal agreement of one cell."""
    a, b, c = face_normals[f, 0], face_normals[f, 1], face_normals[f, 2]
    if a * directions[k, 0] + b * directions[k, 1] + c * directions[k, 2] > 0:
        a, b, c = -a, -b, -c
    a, b, c = rotated(rot, a, b, c)
    agreement = normal_agreement(a, b, c, normals[v, u, 0], normals[v, u, 1], normals[v, u, 2])
    return math.exp(-e * e) * (0.3 + 0.7 * agreement)


@njit(cache=True, fastmath=True)
def _add_color(out, h, lab, v, u, faces, f, bary, k, vertex_lab):  # type: ignore[no-untyped-def]
    w1, w2 = bary[k, 0], bary[k, 1]
    w0 = 1 - w1 - w2
    f0, f1, f2 = faces[f, 0], faces[f, 1], faces[f, 2]
    out[h, TEX_N] += 1
    ml = w0 * vertex_lab[f0, 0] + w1 * vertex_lab[f1, 0] + w2 * vertex_lab[f2, 0]
    ma = w0 * vertex_lab[f0, 1] + w1 * vertex_lab[f1, 1] + w2 * vertex_lab[f2, 1]
    mb = w0 * vertex_lab[f0, 2] + w1 * vertex_lab[f1, 2] + w2 * vertex_lab[f2, 2]
    sl, sa, sb = lab[v, u, 0], lab[v, u, 1], lab[v, u, 2]
    out[h, COLOR] += color_similarity(ml, ma, mb, sl, sa, sb)
    for c in range(3):
        m = ml if c == 0 else (ma if c == 1 else mb)
        s = sl if c == 0 else (sa if c == 1 else sb)
        at = TEX + 5 * c
        out[h, at] += m
        out[h, at + 1] += s
        out[h, at + 2] += m * m
        out[h, at + 3] += s * s
        out[h, at + 4] += m * s


@njit(cache=True, fastmath=True)
def _add_edge(  # type: ignore[no-untyped-def]
    out, h, i, j, columns, rows, base, face, reach, x0, y0, stride, depth, normals, lab, z, tol,
    u, v
):  # fmt: skip
    """Does something end where the silhouette ends? Looked at on both sides of the rim."""
    height, width = depth.shape
    for side in range(4):
        di = (1, -1, 0, 0)[side]
        dj = (0, 0, 1, -1)[side]
        ni, nj = i + di, j + dj
        inside = 0 <= ni < columns and 0 <= nj < rows
        if inside and face[base + nj * columns + ni] >= 0:
            continue
        uo = pixel(x0 + (i + di * reach) * stride)
        vo = pixel(y0 + (j + dj * reach) * stride)
        ui = pixel(x0 + (i - di) * stride)
        vi = pixel(y0 + (j - dj) * stride)
        if uo < 0 or vo < 0 or uo >= width or vo >= height:
            continue
        if ui < 0 or vi < 0 or ui >= width or vi >= height:
            ui, vi = u, v
        zo = depth[vo, uo]
        if zo <= 0 or zo < z - 2 * tol:
            continue  # not measured, or an occluder stands beside: the rim proves nothing
        out[h, EDGE_N] += 1
        if zo > z + 2 * tol:
            out[h, EDGE] += 1
            continue
        crease = 0.0
        no, ns = normals[vo, uo], normals[vi, ui]
        if (no[0] != 0 or no[1] != 0 or no[2] != 0) and (ns[0] != 0 or ns[1] != 0 or ns[2] != 0):
            dot = no[0] * ns[0] + no[1] * ns[1] + no[2] * ns[2]
            crease = min(1.0, 2.0 * (1.0 - dot))
        a, b = lab[vo, uo], lab[vi, ui]
        step = math.sqrt((0.6 * (a[0] - b[0])) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2)
        out[h, EDGE] += max(crease, min(1.0, step / 40.0))
