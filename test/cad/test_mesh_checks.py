"""Stray triangles, far origins, default colours and flat sheets."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation
from support.meshes import l_shape

from sam6d_ros.cad.mesh import load_mesh
from sam6d_ros.cad.onboard import onboard
from sam6d_ros.errors import InvalidMesh
from sam6d_ros.geometry.mesh import bounding_box

STRAY = np.array([(0.5, 0, 0.1), (0.503, 0, 0.1), (0.5, 0.004, 0.1)])


def with_strays(path, mesh, strays):
    """Write a mesh with further triangles."""
    vertices = np.concatenate([mesh.vertices, *strays])
    more = np.arange(3 * len(strays)).reshape(-1, 3) + len(mesh.vertices)
    faces = np.concatenate([mesh.faces, more])
    trimesh.Trimesh(vertices, faces, process=False).export(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(("suffix", "scale"), [("ply", 1.0), ("stl", 1000.0), ("obj", 1.0)])
def test_stray_triangles_are_named_with_their_share_of_the_surface(tmp_path, suffix, scale):
    part = l_shape().subdivide().subdivide()
    strays = [STRAY, np.add(STRAY, (0, 0.02, 0)), STRAY * (-1, 1, 1)]
    path = with_strays(tmp_path / f"a.{suffix}", part.apply_scale(scale), np.array(strays) * scale)
    model = onboard(path, unit="m" if scale == 1 else "mm")
    assert "% of the surface (3 faces) lies far from the rest" in model.unit_note
    assert "instead of 0.17" in model.unit_note or "instead of 17" in model.unit_note
    assert "these stray triangles are left out" in model.unit_note
    assert model.diameter == pytest.approx(onboard_part(tmp_path, part, suffix).diameter, rel=1e-3)


def onboard_part(tmp_path, part, suffix):
    part.export(tmp_path / f"b.{suffix}")
    return onboard(tmp_path / f"b.{suffix}", unit="mm" if part.extents.max() > 1 else "m")


def test_a_stray_triangle_larger_than_any_face_of_the_part_is_named(tmp_path):
    ball = trimesh.creation.icosphere(4, 0.05)
    stray = np.array([(0.4, 0, 0), (0.45, 0, 0), (0.4, 0.05, 0)])
    mesh = load_mesh(with_strays(tmp_path / "a.stl", ball, [stray]))
    assert "(1 faces)" in mesh.note
    assert "if these are stray triangles, delete them" in mesh.note
    assert mesh.vertices[:, 0].max() == pytest.approx(0.45)  # 3.8 %: it may be a part


def test_parts_of_an_assembly_are_no_strays(tmp_path):
    leg = trimesh.creation.cylinder(0.01, 0.4)
    legs = [leg.copy().apply_translation((x, y, 0)) for x in (0, 0.5) for y in (0, 0.3)]
    trimesh.util.concatenate(legs).export(tmp_path / "a.ply")
    assert load_mesh(tmp_path / "a.ply").note == ""
    antenna = trimesh.creation.cylinder(0.001, 0.5).apply_translation((0, 0, 0.2))
    trimesh.util.concatenate([l_shape(), antenna]).export(tmp_path / "b.ply")
    assert load_mesh(tmp_path / "b.ply").note == ""


def ply_of_doubles(path, mesh, shift):
    lines = ["ply", "format ascii 1.0", f"element vertex {len(mesh.vertices)}"]
    lines += [f"property double {axis}" for axis in "xyz"]
    lines += [f"element face {len(mesh.faces)}", "property list uchar int vertex_indices"]
    lines.append("end_header")
    lines += [" ".join(f"{value:.6f}" for value in row) for row in mesh.vertices + shift]
    lines += ["3 " + " ".join(map(str, face)) for face in mesh.faces]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_map_coordinates_are_refused_with_the_offset(tmp_path):
    path = ply_of_doubles(tmp_path / "a.ply", l_shape(), (412_000.0, 5_200_000.0, 90.0))
    with pytest.raises(InvalidMesh, match=r"5\.216\d+e\+06|5,216,\d+ units from its origin"):
        onboard(path, unit="m")
    single = l_shape()
    single.vertices += (412_000.0, 5_200_000.0, 90.0)
    single.export(tmp_path / "a.stl")  # single precision: the shape is lost already
    with pytest.raises(InvalidMesh, match="units from its origin"):
        onboard(tmp_path / "a.stl", unit="m")


def test_an_origin_some_way_off_keeps_the_size(tmp_path):
    expected = onboard(ply_of_doubles(tmp_path / "a.ply", l_shape(), (0, 0, 0)), unit="m")
    model = onboard(ply_of_doubles(tmp_path / "b.ply", l_shape(), (90.0, -60.0, 5.0)), unit="m")
    assert model.diameter == pytest.approx(expected.diameter, rel=1e-4)
    assert np.allclose(model.box_size, expected.box_size, rtol=1e-3)


@pytest.mark.parametrize("rgb", [(255, 255, 255), (204, 204, 204), (102, 102, 102), (0, 0, 0)])
@pytest.mark.parametrize("suffix", ["ply", "obj"])
def test_one_default_colour_is_none(tmp_path, rgb, suffix):
    box = trimesh.creation.box((0.1, 0.2, 0.3))
    box.visual.vertex_colors = [*rgb, 255]
    box.export(tmp_path / f"a.{suffix}")
    mesh = load_mesh(tmp_path / f"a.{suffix}")
    assert mesh.colors is None
    assert "no colours" in mesh.note


@pytest.mark.parametrize("rgb", [(200, 30, 30), (40, 40, 40), (250, 240, 200)])
def test_one_stated_colour_is_kept(tmp_path, rgb):
    box = trimesh.creation.box((0.1, 0.2, 0.3))
    box.visual.vertex_colors = [*rgb, 255]
    box.export(tmp_path / "a.ply")
    mesh = load_mesh(tmp_path / "a.ply")
    assert (mesh.colors == rgb).all()
    assert mesh.note == ""


@pytest.mark.parametrize("seed", range(3))
def test_a_flat_sheet_has_a_box_without_networkx(monkeypatch, seed):
    monkeypatch.setitem(sys.modules, "networkx", None)
    rng = np.random.default_rng(seed)
    corners = np.array([(0, 0, 0), (0.3, 0, 0), (0.3, 0.2, 0), (0, 0.2, 0), (0.1, 0.1, 0)])
    rotation = Rotation.random(rng=rng).as_matrix()
    pose, size = bounding_box(corners @ rotation.T + rng.normal(size=3))
    assert np.allclose(np.sort(size), (0, 0.2, 0.3), atol=1e-6)
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)
    _, straight = bounding_box(corners)
    assert np.array_equal(straight, (0.3, 0.2, 0))
