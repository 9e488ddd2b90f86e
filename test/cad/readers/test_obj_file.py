"""Colours of OBJ files as exporters and scanners write them."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from PIL import Image

from sam6d_ros.cad.mesh import Mesh, load_mesh
from sam6d_ros.cad.mesh_files import companions

RED, GREEN, BLUE = (220, 30, 20), (20, 180, 60), (10, 40, 200)
CORNERS = ((0, 0), (0.2, 0), (0.2, 0.2), (0, 0.2))
FACES = "f 1/1 2/2 3/3\nf 1/1 3/3 4/4\n"


def square(folder, library="mtllib a.mtl", use="usemtl paint", colors=None):
    """Square of 0.2 m whose texture coordinates are its position; returns the file."""
    lines = [library]
    for index, (x, y) in enumerate(CORNERS):
        rgb = "" if colors is None else " " + " ".join(map(str, colors[index]))
        lines.append(f"v {x} {y} 0{rgb}")
    lines += [f"vt {5 * x} {5 * y}" for x, y in CORNERS]
    (folder / "part.obj").write_text("\n".join([*lines, use, FACES]))
    return folder / "part.obj"


def halves(path):
    """Write a texture whose left half is red and right half blue."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.zeros((32, 32, 3), np.uint8)
    image[:, :16], image[:, 16:] = RED, BLUE
    Image.fromarray(image).save(path)


def color_at(mesh: Mesh, x: float) -> np.ndarray:
    assert mesh.colors is not None
    near = np.abs(mesh.vertices[:, 0] - x) < 0.01
    return np.median(mesh.colors[near], axis=0)


def assert_halves(mesh: Mesh) -> None:
    assert np.allclose(color_at(mesh, 0.05), RED, atol=2)
    assert np.allclose(color_at(mesh, 0.15), BLUE, atol=2)


@pytest.mark.parametrize(
    "options",
    [
        "-s 1.0 1.0 1.0 -o 0.0 0.0 0.0",
        "-s 1 -blendu off -mm 0 1",
        "-clamp on -bm 1.0 -imfchan m -texres 512",
        "-O 0.0 -t 0 0 0",
    ],
)
def test_options_before_the_texture_are_no_part_of_its_name(tmp_path, options):
    halves(tmp_path / "2 halves.png")
    (tmp_path / "a.mtl").write_text(f"newmtl paint\nKd 1 1 1\n map_Kd {options} 2 halves.png\n")
    assert_halves(load_mesh(square(tmp_path)))
    assert [path.name for path in companions(tmp_path / "part.obj")] == ["2 halves.png", "a.mtl"]


def test_the_offset_and_the_scale_of_a_texture_are_applied(tmp_path):
    halves(tmp_path / "t.png")
    (tmp_path / "a.mtl").write_text("newmtl paint\nmap_Kd -o 0.5 0 t.png\n")
    mesh = load_mesh(square(tmp_path))
    assert np.allclose(color_at(mesh, 0.05), BLUE, atol=2)
    assert np.allclose(color_at(mesh, 0.15), RED, atol=2)
    (tmp_path / "a.mtl").write_text("newmtl paint\nmap_Kd -s 2 1 1 t.png\n")
    mesh = load_mesh(square(tmp_path))
    assert np.allclose(color_at(mesh, 0.075), BLUE, atol=2)
    assert np.allclose(color_at(mesh, 0.125), RED, atol=2)


def test_a_library_that_was_not_copied_along_leaves_no_colours(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        mesh = load_mesh(square(tmp_path))
    assert mesh.colors is None
    assert "a.mtl, which does not exist" in caplog.text
    assert "a.mtl, which does not exist" in mesh.note


def test_the_only_material_is_taken_where_none_is_named(tmp_path):
    halves(tmp_path / "t.png")
    (tmp_path / "a.mtl").write_text("newmtl paint\nmap_Kd t.png\n")
    assert_halves(load_mesh(square(tmp_path, use="")))


def test_a_material_that_the_library_has_not_is_named(tmp_path):
    (tmp_path / "a.mtl").write_text("newmtl other\nKd 1 0 0\n")
    mesh = load_mesh(square(tmp_path))
    assert mesh.colors is None
    assert "uses the material paint" in mesh.note


@pytest.mark.parametrize(
    ("library", "texture", "folders"),
    [
        (r"sub\a.mtl", r"maps\t.png", ("sub", "maps")),
        ("SUB/A.MTL", "Maps/T.PNG", ("sub", "maps")),
        (r"sub\a.mtl", r"maps\t.png", ("", "")),
        (r"C:\work\a.mtl", r"D:\projects\t.png", ("", "")),
        ('"sub/a.mtl"', "/home/another/machine/t.png", ("sub", "")),
        ("a.mtl", '"t.png"', ("", "")),
    ],
)
def test_names_of_other_machines_are_found(tmp_path, library, texture, folders):
    halves(tmp_path / folders[1] / "t.png")
    place = tmp_path / folders[0] / "a.mtl"
    place.parent.mkdir(exist_ok=True)
    place.write_text(f"newmtl paint\r\nmap_Kd {texture}\r\n")
    path = square(tmp_path, library=f"mtllib {library}")
    assert_halves(load_mesh(path))
    assert len(companions(path)) == 2


def test_textures_beside_the_library_and_several_libraries_are_found(tmp_path):
    halves(tmp_path / "lib/t.png")
    (tmp_path / "lib/b.mtl").write_text("newmtl paint\nmap_Kd t.png\n")
    (tmp_path / "a.mtl").write_text("newmtl other\nKd 1 0 0\n")
    assert_halves(load_mesh(square(tmp_path, library="mtllib a.mtl lib/b.mtl")))
    assert_halves(load_mesh(square(tmp_path, library="mtllib a.mtl\nmtllib lib/b.mtl")))


@pytest.mark.parametrize("scale", [1, 1 / 255])
@pytest.mark.parametrize("library", ["", "newmtl paint\nKd 1 1 1\n", "newmtl paint\nKd .8 .8 .8\n"])
def test_colours_of_vertices_are_read_beside_a_plain_material(tmp_path, scale, library):
    (tmp_path / "a.mtl").write_text(library)
    colors = np.array([RED, GREEN, BLUE, RED]) * scale
    mesh = load_mesh(square(tmp_path, colors=colors.round(6).tolist()))
    found = {tuple(map(int, rgb)) for rgb in mesh.colors}
    assert found == {RED, GREEN, BLUE}


def test_colours_of_vertices_beyond_255_are_named(tmp_path):
    colors = [(0, 0, 65535)] * 4
    mesh = load_mesh(square(tmp_path, library="", use="", colors=colors))
    assert mesh.colors is None
    assert "vertex colours from 0 to 65535" in mesh.note


def test_a_plain_colour_of_a_material_is_that_of_its_faces(tmp_path):
    (tmp_path / "a.mtl").write_text("newmtl paint\nKd 0.8 0.2 0.1\n")
    mesh = load_mesh(square(tmp_path))
    assert (mesh.colors == (204, 51, 26)).all()


def test_a_texture_that_cannot_be_read_leaves_no_colours(tmp_path):
    (tmp_path / "t.png").write_bytes(b"no picture")
    (tmp_path / "a.mtl").write_text("newmtl paint\nKd 1 0 0\nmap_Kd t.png\n")
    mesh = load_mesh(square(tmp_path))
    assert mesh.colors is None
    assert "texture t.png cannot be read" in mesh.note


def test_a_grey_texture_of_16_bits_is_scaled(tmp_path):
    Image.fromarray(np.full((8, 8), 32768, np.uint16)).save(tmp_path / "t.png")
    (tmp_path / "a.mtl").write_text("newmtl paint\nmap_Kd t.png\n")
    mesh = load_mesh(square(tmp_path, use="usemtl paint"))
    assert mesh.colors is None or np.abs(mesh.colors.astype(int) - 128).max() <= 1


def test_colours_of_some_vertices_only_are_named(tmp_path):
    path = square(tmp_path, library="", use="", colors=[RED, RED, BLUE, BLUE])
    path.write_text(path.read_text().replace(" 10 40 200", "", 1))
    mesh = load_mesh(path)
    assert mesh.colors is None
    assert "colours at some of its vertices only" in mesh.note
