"""Fused surfaces that are closed."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from sam6d_ros.scan.surface import close, cut_from_plane, wound_alike
from sam6d_ros.scan.tsdf import Surface


def test_holes_are_filled_with_faces_that_face_out() -> None:
    ball = trimesh.creation.icosphere(3, 0.05)
    vertices, faces, _ = trimesh.intersections.slice_faces_plane(
        ball.vertices, ball.faces, np.array([0, 0, 1.0]), np.array([0, 0, -0.02])
    )
    cut = trimesh.Trimesh(vertices, faces)
    pierced = np.delete(cut.faces, [100, 101], axis=0).astype(np.int32)
    closed = close(Surface(np.asarray(cut.vertices), pierced, 0.001))
    shape = trimesh.Trimesh(closed.vertices, closed.faces, process=False)
    assert shape.is_watertight
    assert shape.is_winding_consistent
    assert shape.volume > 0.9 * ball.volume * 0.78  # less the part below the cut
    bottom = (closed.vertices[closed.faces][:, :, 2] < -0.0199).all(1)
    assert np.average(shape.face_normals[bottom][:, 2]) < -0.9


def test_patches_are_turned_one_by_one() -> None:
    ball = trimesh.creation.icosphere(2)
    faces = np.asarray(ball.faces, np.int32)
    near = np.argsort(-np.abs(ball.triangles_center[:, 2]))  # both poles, apart from each other
    order = np.concatenate([near[20:], near[:20]])
    wrong = faces[order]
    up = ball.triangles_center[order[-20:], 2] > 0
    wrong[-20:][up] = wrong[-20:][up, ::-1]
    found = wound_alike(wrong, len(faces) - 20)
    assert trimesh.Trimesh(ball.vertices, found, process=False).is_winding_consistent


def test_a_rim_that_rises_around_an_unseen_part_is_still_closed_flat_on_the_plane() -> None:
    """What is below the handle of a mug is hidden; its bottom is no higher for that."""
    side = 0.04
    box = trimesh.creation.box((side, side, side)).subdivide_to_size(0.004)
    middles = box.triangles_center
    hidden = (middles[:, 0] > 0.0199) & (np.abs(middles[:, 1]) < 0.008) & (middles[:, 2] < 0)
    seen = ~hidden & (middles[:, 2] > -0.0199)
    vertices = box.vertices + np.array([0, 0, side / 2])
    closed = cut_from_plane(Surface(vertices, box.faces[seen].astype(np.int32), 0.001))
    solid = trimesh.Trimesh(closed.vertices, closed.faces)
    assert solid.is_watertight
    below = (solid.triangles_center[:, 2] < 1e-6) & (solid.face_normals[:, 2] < -0.9)
    assert solid.area_faces[below].sum() == pytest.approx(side**2, rel=0.1)
