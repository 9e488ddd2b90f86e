"""Compiled loop that moves rendered poses onto depth and silhouette by Gauss-Newton."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from sam6d_ros.stages.kernels.common import njit_leaf
from sam6d_ros.stages.kernels.evidence import STEP_SHARE
from sam6d_ros.stages.kernels.inputs import (
    ColorSamples,
    MovingPose,
    TrackMaps,
    TrackWeights,
    VisibleSurface,
)
from sam6d_ros.stages.kernels.track import align

MIN_CELLS = 15  # a rendering with fewer cells is left as it is
BOUNDARY_WEIGHT = 0.5  # of one silhouette cell against one depth match


@njit(cache=True, fastmath=True, nogil=True)
def refine(maps, rays, surface, poses, camera, gates, sigmas, about):  # type: ignore[no-untyped-def]
    """Move each pose onto the scene, in place.

    Args:
        maps: Maps of the scene.
        rays: Rays cast for the poses.
        surface: Surface of the object.
        poses: Placement of N poses; rotation and translation are changed.
        camera: Pinhole.
        gates: (N, K) float64 metres by which a match may be off, in each iteration.
        sigmas: (N,) float64 standard deviation of the depth, metres.
        about: (9,) float64: centre of the object, object frame; then the information that ties
            translation and rotation to the start (6,).
    """
    camera_maps = TrackMaps(
        maps.depth, camera, maps.normals, maps.lab, maps.depth, maps.depth, camera
    )
    nothing = np.zeros((0, 3), np.float32)
    no_samples, prior = ColorSamples(nothing, nothing), about[3:]
    for h in range(len(rays.grids)):
        cells = int(rays.offsets[h + 1] - rays.offsets[h])
        space = VisibleSurface(
            np.empty((cells, 3), np.float32), np.empty((cells, 3), np.float32),
            np.empty((cells, 3), np.float32), np.empty((cells, 2), np.float32),
        )  # fmt: skip
        pose = MovingPose(poses.rotation[h], poses.translation[h], about[:3])
        n, m = _write_surface(rays, surface, pose, h, space)
        if n < MIN_CELLS:
            continue
        visible = VisibleSurface(
            space.points[:n], space.normals[:n], space.boundary[:m], space.outward[:m]
        )
        weights = TrackWeights(sigmas[h], BOUNDARY_WEIGHT, 0.5 * rays.grids[h, 2], 0.0)
        align(camera_maps, visible, no_samples, pose, gates[h], weights, prior)


@njit_leaf
def _write_surface(rays, surface, pose, h, visible):  # type: ignore[no-untyped-def]
    """Write the inner points and the silhouette of one rendering; return how many there are."""
    r, t, _ = pose
    face, distance, d, n = rays.face, rays.distance, rays.directions, surface.face_normals
    columns, rows = int(rays.grids[h, 3]), int(rays.grids[h, 4])
    ox = -(r[0, 0] * t[0] + r[1, 0] * t[1] + r[2, 0] * t[2])
    oy = -(r[0, 1] * t[0] + r[1, 1] * t[1] + r[2, 1] * t[2])
    oz = -(r[0, 2] * t[0] + r[1, 2] * t[1] + r[2, 2] * t[2])
    n_points, n_boundary = 0, 0
    for j in range(rows):
        for i in range(columns):
            k = rays.offsets[h] + j * columns + i
            f, z = face[k], distance[k]
            if f < 0:
                continue
            x, y, w = ox + d[k, 0] * z, oy + d[k, 1] * z, oz + d[k, 2] * z
            gx, gy, broken = _outward(rays, h, i, j)
            length = math.sqrt(gx * gx + gy * gy)
            if length > 0:
                write_row(visible.boundary, n_boundary, x, y, w)
                visible.outward[n_boundary, 0] = gx / length
                visible.outward[n_boundary, 1] = gy / length
                n_boundary += 1
            elif not broken:
                sign = (
                    -1.0 if n[f, 0] * d[k, 0] + n[f, 1] * d[k, 1] + n[f, 2] * d[k, 2] > 0 else 1.0
                )
                write_row(visible.points, n_points, x, y, w)
                write_row(visible.normals, n_points, sign * n[f, 0], sign * n[f, 1], sign * n[f, 2])
                n_points += 1
    return n_points, n_boundary


@njit_leaf
def write_row(rows, i, x, y, z):  # type: ignore[no-untyped-def]
    """Write one row of an (N, 3) array.

    Args:
        rows: (N, 3), changed.
        i: number of the row.
        x: first value.
        y: second value.
        z: third value.
    """
    rows[i, 0], rows[i, 1], rows[i, 2] = x, y, z


@njit_leaf
def _outward(rays, h, i, j):  # type: ignore[no-untyped-def]
    """Direction out of the silhouette, 0 inside, and whether the depth makes a step at the cell."""
    face, distance = rays.face, rays.distance
    columns, rows = int(rays.grids[h, 3]), int(rays.grids[h, 4])
    k = rays.offsets[h] + j * columns + i
    z = distance[k]
    missing, broken = False, False
    for di, dj in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        ii, jj, kk = i + di, j + dj, k + dj * columns + di
        if ii < 0 or jj < 0 or ii >= columns or jj >= rows or face[kk] < 0:
            missing = True
        elif abs(distance[kk] - z) > STEP_SHARE * z:
            broken = True
    gx, gy = 0.0, 0.0
    if missing:
        for dj in range(-2, 3):
            for di in range(-2, 3):
                ii, jj, kk = i + di, j + dj, k + dj * columns + di
                if ii < 0 or jj < 0 or ii >= columns or jj >= rows or face[kk] < 0:
                    gx += di
                    gy += dj
    return gx, gy, broken or missing
