"""Mesh files with very many materials, instances or corners of a face: loaded in seconds."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
import trimesh

from sam6d_ros.cad.mesh import load_mesh

COUNT = 20_000
SIDE = 30_000


@pytest.mark.slow
def test_an_obj_with_many_materials(tmp_path):
    material = "".join(f"newmtl m{i}\nKd {i / COUNT} 0 0\n" for i in range(COUNT))
    (tmp_path / "a.mtl").write_text(material)
    lines = ["mtllib a.mtl"]
    for i in range(COUNT):
        x = i * 1e-4
        lines += [f"v {x} 0 0", f"v {x + 1e-4} 0 0", f"v {x} 0.1 0.05", f"usemtl m{i}"]
        lines += [f"f {3 * i + 1} {3 * i + 2} {3 * i + 3}"]
    (tmp_path / "a.obj").write_text("\n".join(lines))
    assert len(load_mesh(tmp_path / "a.obj").faces) == COUNT


@pytest.mark.parametrize("suffix", ["obj", "ply"])
def test_a_polygon_with_many_corners(suffix, tmp_path):
    angles = np.linspace(0, 2 * np.pi, SIDE, endpoint=False)
    corners = [f"{np.cos(a) / 10} {np.sin(a) / 10} {np.sin(3 * a) / 100}" for a in angles]
    if suffix == "obj":
        face = " ".join(str(i + 1) for i in range(SIDE))
        text = "".join(f"v {corner}\n" for corner in corners) + f"f {face}\n"
    else:
        head = f"ply\nformat ascii 1.0\nelement vertex {SIDE}\n"
        head += "".join(f"property float {axis}\n" for axis in "xyz")
        head += "element face 1\nproperty list int int vertex_indices\nend_header\n"
        face = " ".join(map(str, range(SIDE)))
        text = head + "".join(f"{corner}\n" for corner in corners) + f"{SIDE} {face}\n"
    path = tmp_path / f"a.{suffix}"
    path.write_text(text)
    assert len(load_mesh(path).faces) == SIDE - 2


def glb(path, change):
    """Write a box whose JSON part is changed."""
    data = trimesh.Scene(trimesh.creation.box((0.01, 0.01, 0.01))).export(file_type="glb")
    (length,) = struct.unpack("<I", data[12:16])
    text = json.dumps(change(json.loads(data[20 : 20 + length]))).encode()
    text += b" " * (-len(text) % 4)
    rest = data[20 + length :]
    head = struct.pack("<4sIIII", b"glTF", 2, 20 + len(text) + len(rest), len(text), 0x4E4F534A)
    path.write_bytes(head + text + rest)
    return path


def instances(tree):
    """Use the mesh at many places."""
    nodes = [{"mesh": 0, "translation": [i * 1e-4, 0, 0]} for i in range(COUNT)]
    return tree | {"nodes": nodes, "scenes": [{"nodes": [*range(COUNT)]}]}


def materials(tree):
    """Give the mesh a part of each of many materials."""
    part = tree["meshes"][0]["primitives"][0]
    colors = [{"pbrMetallicRoughness": {"baseColorFactor": [1, 0, 0, 1]}}] * COUNT
    parts = [part | {"material": i} for i in range(COUNT)]
    return tree | {"materials": colors, "meshes": [{"primitives": parts}]}


@pytest.mark.slow
@pytest.mark.parametrize("change", [instances, materials])
def test_a_gltf_with_many_instances_or_materials(change, tmp_path):
    assert len(load_mesh(glb(tmp_path / "a.glb", change)).faces) > COUNT
