"""Compiled helpers for the cells of renderings: rays, normals and colours."""

from __future__ import annotations

from numba import njit

from sam6d_ros.stages.kernels.common import color_similarity, njit_leaf, rotated

# Columns of the colour sums from their first one: cells, similarity, then for L, a, b the sums of
# model, scene, model², scene², model·scene.
COLOR_COLUMNS = 17


@njit_leaf
def fill_rays(rays, origins, rotation, translation, camera):  # type: ignore[no-untyped-def]
    """Write the origins (C, 3) float32 and ``rays.directions`` of all cells, object frame.

    Args:
        rays: Rays of N grids; directions are written.
        origins: (C, 3) float32, written.
        rotation: (N, 3, 3) float64 of cam_from_obj.
        translation: (N, 3) float64, metres.
        camera: Pinhole.
    """
    for h in range(len(rays.grids)):
        x0, y0, stride = rays.grids[h, 0], rays.grids[h, 1], rays.grids[h, 2]
        columns, rows = int(rays.grids[h, 3]), int(rays.grids[h, 4])
        r, t = rotation[h], translation[h]
        ox = -(r[0, 0] * t[0] + r[1, 0] * t[1] + r[2, 0] * t[2])
        oy = -(r[0, 1] * t[0] + r[1, 1] * t[1] + r[2, 1] * t[2])
        oz = -(r[0, 2] * t[0] + r[1, 2] * t[1] + r[2, 2] * t[2])
        k = rays.offsets[h]
        for j in range(rows):
            dy = (y0 + j * stride - camera.cy) / camera.fy
            for i in range(columns):
                dx = (x0 + i * stride - camera.cx) / camera.fx
                origins[k, 0], origins[k, 1], origins[k, 2] = ox, oy, oz
                rays.directions[k, 0] = r[0, 0] * dx + r[1, 0] * dy + r[2, 0]
                rays.directions[k, 1] = r[0, 1] * dx + r[1, 1] * dy + r[2, 1]
                rays.directions[k, 2] = r[0, 2] * dx + r[1, 2] * dy + r[2, 2]
                k += 1


@njit(cache=True, fastmath=True, nogil=True, inline="always")
def facing(surface, rays, rotation, k, normal):  # type: ignore[no-untyped-def]
    """Write the normal of a cell's face, towards the camera, camera frame.

    Args:
        surface: Surface of the object.
        rays: Rays cast for the poses.
        rotation: (3, 3) of cam_from_obj.
        k: number of the cell.
        normal: (3,) float64, written.
    """
    f = rays.face[k]
    a, b, c = surface.face_normals[f, 0], surface.face_normals[f, 1], surface.face_normals[f, 2]
    d = rays.directions
    if a * d[k, 0] + b * d[k, 1] + c * d[k, 2] > 0:
        a, b, c = -a, -b, -c
    normal[0], normal[1], normal[2] = rotated(rotation, a, b, c)


@njit_leaf
def add_color(sums, first, lab, v, u, surface, rays, k):  # type: ignore[no-untyped-def]
    """Add the colours of one cell to the COLOR_COLUMNS sums from column ``first`` on.

    Args:
        sums: (S,) float64, changed.
        first: column of the number of cells.
        lab: (H, W, 3) float32 CIE L*a*b* of the scene.
        v: row of the pixel.
        u: column of the pixel.
        surface: Surface of the object.
        rays: Rays cast for the poses.
        k: number of the cell.
    """
    w1, w2 = rays.bary[k, 0], rays.bary[k, 1]
    w0 = 1 - w1 - w2
    f = rays.face[k]
    f0, f1, f2 = surface.faces[f, 0], surface.faces[f, 1], surface.faces[f, 2]
    sums[first] += 1
    c = surface.lab
    ml = w0 * c[f0, 0] + w1 * c[f1, 0] + w2 * c[f2, 0]
    ma = w0 * c[f0, 1] + w1 * c[f1, 1] + w2 * c[f2, 1]
    mb = w0 * c[f0, 2] + w1 * c[f1, 2] + w2 * c[f2, 2]
    sl, sa, sb = lab[v, u, 0], lab[v, u, 1], lab[v, u, 2]
    sums[first + 1] += color_similarity(ml, ma, mb, sl, sa, sb)
    for channel in range(3):
        m = ml if channel == 0 else (ma if channel == 1 else mb)
        s = sl if channel == 0 else (sa if channel == 1 else sb)
        at = first + 2 + 5 * channel
        sums[at] += m
        sums[at + 1] += s
        sums[at + 2] += m * m
        sums[at + 3] += s * s
        sums[at + 4] += m * s
