"""Files that a mesh refers to: found beside it, refused elsewhere when a client sent the mesh."""

from __future__ import annotations

import json
import struct

import pytest
import trimesh
from PIL import Image

from sam6d_ros.cad.mesh import load_mesh
from sam6d_ros.cad.mesh_files import companions
from sam6d_ros.cad.onboard import onboard
from sam6d_ros.errors import InvalidMesh

TRIANGLES = "v 0 0 0\nv 0.1 0 0\nv 0 0.1 0\nv 0 0 0.1\nvt 0 0\nvt 1 0\nvt 0 1\n" + (
    "usemtl paint\nf 1/1 3/3 2/2\nf 1/1 2/2 4/3\nf 1/1 4/3 3/2\nf 2/1 3/2 4/3\n"
)


@pytest.fixture
def outside(tmp_path):
    """A material with a red texture beside the folder of the meshes."""
    (tmp_path / "meshes").mkdir()
    (tmp_path / "paint.mtl").write_text("newmtl paint\nmap_Kd red.png\n")
    Image.new("RGB", (4, 4), (255, 0, 0)).save(tmp_path / "red.png")
    return tmp_path


def obj(folder, library):
    path = folder / "meshes/part.obj"
    path.write_text(f"mtllib {library}\n{TRIANGLES}")
    return path


def ply(folder, texture):
    path = folder / "meshes/part.ply"
    mesh = trimesh.creation.box((0.1, 0.1, 0.1))
    data = mesh.export(file_type="ply")
    path.write_bytes(data.replace(b"ply\n", f"ply\ncomment TextureFile {texture}\n".encode(), 1))
    return path


def gltf(folder, uri):
    path = folder / "meshes/part.gltf"
    path.write_text(json.dumps({"asset": {"version": "2.0"}, "images": [{"uri": uri}]}))
    return path


def glb(folder, uri):
    path = folder / "meshes/part.glb"
    text = json.dumps({"asset": {"version": "2.0"}, "images": [{"uri": uri}]}).encode()
    head = struct.pack("<4sIIII", b"glTF", 2, 20 + len(text), len(text), 0x4E4F534A)
    path.write_bytes(head + text)
    return path


@pytest.mark.parametrize("write", [obj, ply, gltf, glb])
@pytest.mark.parametrize("name", ["../paint.mtl", "/etc/hostname", "a/../../red.png"])
def test_a_mesh_of_a_client_may_name_files_of_its_folder_only(outside, write, name):
    path = write(outside, name)
    for load in (load_mesh, onboard):
        with pytest.raises(InvalidMesh, match=r"outside its folder.*beside the mesh"):
            load(path, confined=True)


def test_a_link_does_not_lead_out_of_the_folder(outside):
    (outside / "meshes/paint.mtl").symlink_to(outside / "paint.mtl")
    with pytest.raises(InvalidMesh, match="outside its folder"):
        load_mesh(obj(outside, "paint.mtl"), confined=True)


def test_a_library_named_in_a_comment_is_not_read(outside):
    path = obj(outside, "none.mtl")
    path.write_text(f"# mtllib ../paint.mtl\n{TRIANGLES}")
    assert companions(path, confined=True) == []
    assert load_mesh(path, confined=True).colors is None


def test_files_of_this_machine_keep_materials_of_other_folders(outside):
    path = obj(outside, "../paint.mtl")
    (outside / "paint.mtl").write_text("newmtl paint\nmap_Kd ../red.png\n")
    assert [file.name for file in companions(path)] == ["paint.mtl", "red.png"]
    assert load_mesh(path).colors[:, 0].min() > 250


def test_files_beside_the_mesh_are_taken_from_clients(outside):
    (outside / "meshes/textures").mkdir()
    Image.new("RGB", (4, 4), (0, 255, 0)).save(outside / "meshes/textures/green.png")
    (outside / "meshes/paint.mtl").write_text("newmtl paint\nmap_Kd textures/green.png\n")
    assert load_mesh(obj(outside, "paint.mtl"), confined=True).colors[:, 1].min() > 250
