"""Noise of a scanned surface."""

from __future__ import annotations

import numpy as np
import trimesh

from sam6d_ros.scan.smoothing import smoothed
from sam6d_ros.scan.tsdf import Surface

VOXEL_M = 0.001


def test_noise_of_a_surface_is_smoothed_and_patches_stay() -> None:
    sphere = trimesh.creation.icosphere(5, 0.03)
    low = sphere.vertices[:, 2] < -0.02  # one fan closes the bottom
    faces = sphere.faces[~low[sphere.faces].any(1)]
    hull = trimesh.Trimesh(sphere.vertices, faces)
    rim = trimesh.grouping.group_rows(hull.edges_sorted, require_count=1)
    edges = hull.edges[rim]
    middle = len(hull.vertices)
    fan = np.column_stack([edges[:, ::-1], np.full(len(edges), middle)])
    vertices = np.vstack([hull.vertices, [0, 0, -0.02]])
    faces = np.vstack([hull.faces, fan]).astype(np.int32)
    rng = np.random.default_rng(0)
    noisy = vertices + rng.normal(0, 0.0001, vertices.shape)
    out = smoothed(Surface(noisy, faces, VOXEL_M)).vertices
    assert (out[middle] == noisy[middle]).all()
    inside = np.flatnonzero(vertices[:, 2] > 0)
    before, after = (np.linalg.norm(points[inside], axis=1) - 0.03 for points in (noisy, out))
    assert after.std() < before.std() / 2
    assert abs(after.mean()) < 0.00002  # it does not shrink
