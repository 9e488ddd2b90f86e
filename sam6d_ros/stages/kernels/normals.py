"""Normals of a depth image by linear fits of inverse depth."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

NORMAL_JUMP = 0.02  # a neighbour farther than this share of the depth is another surface


@njit(parallel=True, cache=True, fastmath=True)
def plane_normals(depth, fx, fy, cx, cy, radius, step):  # type: ignore[no-untyped-def]  # noqa: PLR0915
    """Return the unit normals of a depth image, towards the camera.

    Args:
        depth: (H, W) float32 metres, 0 = no measurement.
        fx: focal length, pixels.
        fy: focal length, pixels.
        cx: principal point, pixels.
        cy: principal point, pixels.
        radius: half the size of the neighbourhood, pixels.
        step: distance of its samples, pixels.

    Returns:
        (H, W, 3) float32, 0 where unknown.
    """
    height, width = depth.shape
    out = np.zeros((height, width, 3), np.float32)
    for y in prange(height):
        for x in range(width):
            z = depth[y, x]
            if z <= 0:
                continue
            n = 0
            su = sv = suu = suv = svv = sw = suw = svw = 0.0
            for dy in range(-radius, radius + 1, step):
                yy = y + dy
                if yy < 0 or yy >= height:
                    continue
                for dx in range(-radius, radius + 1, step):
                    xx = x + dx
                    if xx < 0 or xx >= width:
                        continue
                    zz = depth[yy, xx]
                    if zz <= 0 or abs(zz - z) > NORMAL_JUMP * z:
                        continue
                    w = z / zz
                    n += 1
                    su += dx
                    sv += dy
                    suu += dx * dx
                    suv += dx * dy
                    svv += dy * dy
                    sw += w
                    suw += dx * w
                    svw += dy * w
            if n < 8:
                continue
            auu, auv, avv = suu - su * su / n, suv - su * sv / n, svv - sv * sv / n
            bu, bv = suw - su * sw / n, svw - sv * sw / n
            det = auu * avv - auv * auv
            if det < 1e-3 * n:
                continue
            gu = (avv * bu - auv * bv) / det
            gv = (auu * bv - auv * bu) / det
            base = (sw - gu * su - gv * sv) / n
            # 1/z = A·(x/z) + B·(y/z) + C has normal ∝ (A, B, C)
            nx, ny = gu * fx, gv * fy
            nz = base - gu * (x - cx) - gv * (y - cy)
            norm = np.sqrt(nx * nx + ny * ny + nz * nz)
            if norm < 1e-9:
                continue
            out[y, x, 0] = -nx / norm
            out[y, x, 1] = -ny / norm
            out[y, x, 2] = -nz / norm
    return out
