"""Colours of PLY and STL files by type, name and convention."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import trimesh
from PIL import Image

from sam6d_ros.cad.mesh import load_mesh
from sam6d_ros.cad.mesh_files import companions
from sam6d_ros.geometry.mesh import face_areas

COLORS = np.array([(220, 30, 20), (20, 180, 60), (10, 40, 200)])
CORNERS = ("0 0 0", "0.2 0 0", "0 0.3 0", "0.2 0.3 0")
RGB = ("red", "green", "blue")


def ply(path, vertex=(), face=(), rows=CORNERS, faces=("3 0 1 2", "3 1 3 2"), comments=()):
    """Write an ASCII file with further properties of vertices and faces."""
    lines = ["ply", "format ascii 1.0", *(f"comment {text}" for text in comments)]
    lines += [f"element vertex {len(rows)}", *(f"property float {axis}" for axis in "xyz")]
    lines += [f"property {item}" for item in vertex]
    lines += [f"element face {len(faces)}", "property list uchar int vertex_indices"]
    lines += [f"property {item}" for item in face]
    path.write_text("\n".join([*lines, "end_header", *rows, *faces, ""]))
    return path


@pytest.mark.parametrize("names", [RGB, tuple(f"diffuse_{name}" for name in RGB), ("r", "g", "b")])
@pytest.mark.parametrize(
    ("kind", "scale"),
    [("uchar", 1), ("ushort", 257), ("ushort", 1), ("int", 1), ("float", 1 / 255), ("double", 1)],
)
def test_colours_of_vertices_are_read_by_their_type(tmp_path, names, kind, scale):
    rows = []
    for corner, rgb in zip(CORNERS, COLORS[[0, 1, 2, 0]], strict=True):
        values = rgb * scale if kind in ("float", "double") else (rgb * scale).astype(int)
        rows.append(f"{corner} " + " ".join(map(str, values)))
    path = ply(tmp_path / "a.ply", [f"{kind} {name}" for name in names], rows=rows)
    mesh = load_mesh(path)
    assert np.array_equal(np.unique(mesh.colors, axis=0), np.unique(COLORS, axis=0))
    assert mesh.note == ""


@pytest.mark.parametrize("names", [RGB, tuple(f"diffuse_{name}" for name in RGB)])
def test_colours_of_faces_are_read(tmp_path, names):
    faces = [f"3 0 1 2 {' '.join(map(str, COLORS[0]))}", f"3 1 3 2 {' '.join(map(str, COLORS[2]))}"]
    mesh = load_mesh(ply(tmp_path / "a.ply", face=[f"uchar {n}" for n in names], faces=faces))
    for rgb in COLORS[[0, 2]]:
        of_one = (mesh.colors[mesh.faces] == rgb).all((1, 2))
        assert face_areas(mesh.vertices, mesh.faces[of_one]).sum() == pytest.approx(0.03)


def test_colours_of_quads_are_read(tmp_path):
    rows = (*CORNERS, "0.4 0 0", "0.4 0.3 0")
    faces = [f"4 0 1 3 2 {' '.join(map(str, COLORS[0]))}"]
    faces += [f"4 1 4 5 3 {' '.join(map(str, COLORS[2]))}"]
    path = ply(tmp_path / "a.ply", face=[f"uchar {n}" for n in RGB], rows=rows, faces=faces)
    mesh = load_mesh(path)
    left = (mesh.colors[mesh.faces] == COLORS[0]).all((1, 2))
    assert mesh.vertices[mesh.faces[left]][..., 0].max() == pytest.approx(0.2)
    assert left.sum() == 2
    assert len(left) == 4


def test_colours_of_an_impossible_range_are_named(tmp_path):
    rows = [f"{corner} 0 0 300" for corner in CORNERS]
    mesh = load_mesh(ply(tmp_path / "a.ply", [f"float {name}" for name in RGB], rows=rows))
    assert mesh.colors is None
    assert "colours of type float32 from 0 to 300" in mesh.note


def test_a_texture_with_a_blank_in_its_name_is_read_and_is_a_companion(tmp_path):
    image = np.zeros((16, 16, 3), np.uint8)
    image[:, :8], image[:, 8:] = COLORS[0], COLORS[2]
    Image.fromarray(image).save(tmp_path / "my skin.png")
    rows = [
        f"{c} {u} {v}" for c, (u, v) in zip(CORNERS, [(0, 0), (1, 0), (0, 1), (1, 1)], strict=True)
    ]
    path = tmp_path / "a.ply"
    ply(path, ["float s", "float t"], rows=rows, comments=["TextureFile my skin.png"])
    mesh = load_mesh(path)
    near = np.abs(mesh.vertices[:, 0] - 0.05) < 0.01
    assert np.allclose(np.median(mesh.colors[near], axis=0), COLORS[0], atol=1)
    assert companions(path) == [tmp_path / "my skin.png"]


def test_several_textures_are_named(tmp_path):
    for name in "ab":
        Image.new("RGB", (4, 4)).save(tmp_path / f"{name}.png")
    path = ply(tmp_path / "a.ply", comments=["TextureFile a.png", "TextureFile b.png"])
    mesh = load_mesh(path)
    assert mesh.colors is None
    assert "has 2 textures" in mesh.note


def stl(path, words, header=b"a colour writer"):
    """Write a box of 12 faces with an attribute word for each."""
    box = trimesh.creation.box((0.1, 0.2, 0.3))
    data = header.ljust(80, b" ") + struct.pack("<I", 12)
    for corners, word in zip(box.triangles.astype("<f4"), words, strict=True):
        data += bytes(12) + corners.tobytes() + struct.pack("<H", word)
    path.write_bytes(data)
    return path


def test_colours_of_viscam_have_red_in_the_upper_bits(tmp_path):
    red, none = 0x8000 | (31 << 10), 0
    mesh = load_mesh(stl(tmp_path / "a.stl", [red] * 6 + [none] * 6))
    assert {tuple(map(int, rgb)) for rgb in mesh.colors} == {(255, 0, 0), (128, 128, 128)}


def test_colours_of_magics_have_red_in_the_lower_bits(tmp_path):
    header = b"COLOR=" + bytes((10, 20, 200, 255)) + b",MATERIAL="
    red, of_body = 31, 0x8000
    mesh = load_mesh(stl(tmp_path / "a.stl", [red] * 6 + [of_body] * 6, header))
    assert {tuple(map(int, rgb)) for rgb in mesh.colors} == {(255, 0, 0), (10, 20, 200)}
    mesh = load_mesh(stl(tmp_path / "a.stl", [0] * 12, header))
    assert {tuple(map(int, rgb)) for rgb in mesh.colors} == {(10, 20, 200)}


def test_attribute_words_that_are_no_colours_are_named(tmp_path):
    mesh = load_mesh(stl(tmp_path / "a.stl", [7] * 12))
    assert mesh.colors is None
    assert "attribute words" in mesh.note
    assert load_mesh(stl(tmp_path / "b.stl", [0] * 12)).note == ""
