"""Small files that would need much memory, and files outside that a mesh names."""

from __future__ import annotations

import json
import os
import struct
import sys

import numpy as np
import pytest
import trimesh
from PIL import Image

from sam6d_ros.cad.mesh import load_mesh
from sam6d_ros.cad.onboard import onboard
from sam6d_ros.errors import InvalidMesh, TooLarge


def glb(path, change):
    """Write a sphere of 20,480 faces, its JSON part changed."""
    data = trimesh.Scene(trimesh.creation.icosphere(5, 0.1)).export(file_type="glb")
    (length,) = struct.unpack("<I", data[12:16])
    text = change(json.loads(data[20 : 20 + length])).encode()
    text += b" " * (-len(text) % 4)
    rest = data[20 + length :]
    size = 20 + len(text) + len(rest)
    head = struct.pack("<4sIIII", b"glTF", 2, size, len(text), 0x4E4F534A)
    path.write_bytes(head + text + rest)
    return path


def copies(count):
    def change(tree):
        nodes = [{"mesh": 0, "translation": [i * 1e-4, 0, 0]} for i in range(count)]
        return json.dumps(tree | {"nodes": nodes, "scenes": [{"nodes": [*range(count)]}]})

    return change


def doubled(depth):
    """Each node is twice the child of the one before: 2 to the power of ``depth`` uses."""

    def change(tree):
        nodes = [{"children": [i + 1, i + 1]} for i in range(depth)] + [{"mesh": 0}]
        return json.dumps(tree | {"nodes": nodes, "scenes": [{"nodes": [0]}]})

    return change


@pytest.mark.parametrize(
    ("change", "text"), [(copies(500), "10,240,000 faces"), (doubled(40), "nodes")]
)
def test_uses_of_a_mesh_are_counted_before_they_are_made(tmp_path, change, text):
    with pytest.raises(TooLarge, match=text):
        load_mesh(glb(tmp_path / "a.glb", change), confined=True)


def test_a_mesh_may_be_used_several_times(tmp_path):
    mesh = load_mesh(glb(tmp_path / "a.glb", copies(3)), confined=True)
    assert len(mesh.faces) == 3 * 20_480


def test_an_accessor_without_data_is_limited(tmp_path):
    def change(tree):
        for item in tree["accessors"]:
            item.pop("bufferView", None)
            item["count"] = 10**12
        return json.dumps(tree)

    with pytest.raises(TooLarge, match="faces"):
        load_mesh(glb(tmp_path / "a.glb", change), confined=True)


def test_nested_json_is_refused(tmp_path):
    path = glb(tmp_path / "a.glb", lambda _: "[" * 200_000)
    with pytest.raises(InvalidMesh, match="is not a glTF file"):
        onboard(path, confined=True)


def test_pixels_of_textures_are_counted_before_they_are_decoded(tmp_path):
    Image.new("1", (12_000, 12_000)).save(tmp_path / "t.png")
    (tmp_path / "a.mtl").write_text("newmtl m\nmap_Kd t.png\n")
    path = tmp_path / "a.obj"
    path.write_text(
        "mtllib a.mtl\nusemtl m\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nf 1/1 2/2 3/3\n"
    )
    with pytest.raises(TooLarge, match="12000 × 12000 pixels"):
        load_mesh(path, confined=True)


_opened: list[str] | None = None


def _note(event, args):
    if _opened is not None and event in ("open", "os.listdir", "os.scandir"):
        _opened.append(str(args[0]))


@pytest.fixture
def opened(monkeypatch):
    """Paths that are opened while the test runs; an audit hook cannot be removed."""
    if not hasattr(sys, "_mesh_limits_hook"):
        sys._mesh_limits_hook = True
        sys.addaudithook(_note)
    paths: list[str] = []
    monkeypatch.setattr(sys.modules[__name__], "_opened", paths)
    return paths


@pytest.mark.parametrize("library", ["/etc/passwd", "../../../../etc/passwd", "../outside.mtl"])
def test_a_file_outside_is_not_even_opened(tmp_path, opened, library):
    (tmp_path / "outside.mtl").write_text("newmtl m\n")
    (tmp_path / "in").mkdir()
    path = tmp_path / "in/a.obj"
    path.write_text(f"mtllib {library}\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    opened.clear()
    with pytest.raises(InvalidMesh, match="outside its folder"):
        onboard(path, confined=True)
    assert str(path) in opened
    assert not [name for name in opened if name.endswith(("passwd", "outside.mtl"))]


def test_a_pipe_beside_a_mesh_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "a.mtl")
    path = tmp_path / "a.obj"
    path.write_text("mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    assert np.ptp(load_mesh(path, confined=True).vertices) == 1
