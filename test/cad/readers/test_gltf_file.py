"""Colours, texture coordinates and number formats of glTF files."""

from __future__ import annotations

import json
import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from sam6d_ros.cad.mesh import Mesh, load_mesh
from sam6d_ros.cad.mesh_files import companions
from sam6d_ros.cad.onboard import onboard
from sam6d_ros.errors import InvalidMesh
from sam6d_ros.geometry.color import linear_from_srgb, srgb_from_linear

RED, BLUE = (220, 30, 20), (10, 40, 200)
SQUARE = np.array([(0, 0, 0), (0.2, 0, 0), (0.2, 0.2, 0), (0, 0.2, 0)], np.float32)
UV = (SQUARE[:, :2] * 5).astype(np.float32)
FACES = np.array([0, 1, 2, 0, 2, 3], np.uint16)
KINDS = {"i1": 5120, "u1": 5121, "i2": 5122, "u2": 5123, "u4": 5125, "f4": 5126}


class Glb:
    """Writer of a file of one mesh."""

    def __init__(self) -> None:
        self.data = b""
        self.tree = {"asset": {"version": "2.0"}, "scenes": [{"nodes": [0]}]}
        self.tree |= {"nodes": [{"mesh": 0}], "accessors": [], "bufferViews": []}
        self.primitive = {"attributes": {}, "indices": self.add(FACES)}
        self.tree["meshes"] = [{"primitives": [self.primitive]}]
        self.attribute("POSITION", SQUARE)

    def view(self, data: bytes) -> int:
        view = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data)}
        self.tree["bufferViews"].append(view)
        self.data += data + bytes(-len(data) % 4)
        return len(self.tree["bufferViews"]) - 1

    def add(self, values: np.ndarray, is_normalized: bool = False) -> int:
        width = values.shape[1] if values.ndim > 1 else 1
        item = {"bufferView": self.view(values.tobytes()), "count": len(values)}
        item |= {"componentType": KINDS[values.dtype.str[1:]], "normalized": is_normalized}
        item["type"] = ("SCALAR", "VEC2", "VEC3", "VEC4")[width - 1]
        self.tree["accessors"].append(item)
        return len(self.tree["accessors"]) - 1

    def attribute(self, name: str, values: np.ndarray, is_normalized: bool = False) -> None:
        self.primitive["attributes"][name] = self.add(values, is_normalized)

    def texture(self, image: np.ndarray, **info) -> None:
        """Use an image as base colour texture."""
        data = BytesIO()
        Image.fromarray(image).save(data, "PNG")
        source = {"bufferView": self.view(data.getvalue()), "mimeType": "image/png"}
        self.tree |= {"images": [source], "textures": [{"source": 0}]}
        self.material(baseColorTexture={"index": 0, **info})

    def material(self, **values) -> None:
        materials = self.tree.setdefault("materials", [{"pbrMetallicRoughness": {}}])
        materials[0]["pbrMetallicRoughness"].update(values)
        self.primitive["material"] = 0

    def write(self, path):
        self.tree["buffers"] = [{"byteLength": len(self.data)}]
        text = json.dumps(self.tree).encode()
        text += b" " * (-len(text) % 4)
        length = 28 + len(text) + len(self.data)
        head = struct.pack("<4sIIII", b"glTF", 2, length, len(text), 0x4E4F534A)
        chunk = struct.pack("<II", len(self.data), 0x004E4942)
        path.write_bytes(head + text + chunk + self.data)
        return path


def halves(left=RED, right=BLUE) -> np.ndarray:
    image = np.zeros((32, 32, 3), np.uint8)
    image[:, :16], image[:, 16:] = left, right
    return image


def color_at(mesh: Mesh, axis: int, value: float) -> np.ndarray:
    assert mesh.colors is not None
    near = np.abs(mesh.vertices[:, axis] - value) < 0.01
    return np.median(mesh.colors[near], axis=0)


@pytest.mark.parametrize(("dtype", "largest"), [("u1", 255), ("u2", 65535), ("f4", 1)])
def test_vertex_colours_are_linear_whatever_their_type(tmp_path, dtype, largest):
    srgb = np.array([RED, BLUE, RED, BLUE]) / 255
    linear = linear_from_srgb(srgb) * largest
    values = (linear if dtype == "f4" else linear.round()).astype(f"<{dtype}")
    glb = Glb()
    glb.attribute("COLOR_0", values, dtype != "f4")
    mesh = load_mesh(glb.write(tmp_path / "a.glb"))
    found = mesh.colors[np.lexsort(mesh.vertices.T)][[0, 1, 3, 2]]
    assert np.abs(found - 255 * srgb).max() <= (7 if dtype == "u1" else 1)


def test_the_colour_of_a_material_is_linear_and_tints_vertices_and_textures(tmp_path):
    factor = (0.5, 0.2, 0.1)
    glb = Glb()
    glb.material(baseColorFactor=[*factor, 1.0])
    expected = srgb_from_linear(np.array(factor)) * 255
    mesh = load_mesh(glb.write(tmp_path / "a.glb"))
    assert np.abs(mesh.colors - expected).max() <= 1
    glb.attribute("COLOR_0", np.full((4, 3), 0.5, np.float32))
    mesh = load_mesh(glb.write(tmp_path / "a.glb"))
    assert np.abs(mesh.colors - srgb_from_linear(np.array(factor) / 2) * 255).max() <= 1
    glb = Glb()
    glb.attribute("TEXCOORD_0", UV)
    glb.texture(halves((200, 200, 200), (100, 100, 100)))
    glb.material(baseColorFactor=[*factor, 1.0])
    mesh = load_mesh(glb.write(tmp_path / "a.glb"))
    expected = srgb_from_linear(linear_from_srgb(np.array(200 / 255)) * factor) * 255
    assert np.abs(color_at(mesh, 0, 0.05) - expected).max() <= 1


def test_the_set_of_coordinates_that_the_texture_names_is_taken(tmp_path):
    glb = Glb()
    glb.attribute("TEXCOORD_0", UV[:, ::-1].copy())
    glb.attribute("TEXCOORD_1", UV)
    glb.texture(halves(), texCoord=1)
    mesh = load_mesh(glb.write(tmp_path / "a.glb"))
    assert np.allclose(color_at(mesh, 0, 0.05), RED, atol=1)
    assert np.allclose(color_at(mesh, 0, 0.15), BLUE, atol=1)


def test_a_set_that_is_not_there_leaves_no_colours(tmp_path):
    glb = Glb()
    glb.attribute("TEXCOORD_0", UV)
    glb.texture(halves(), texCoord=2)
    mesh = load_mesh(glb.write(tmp_path / "a.glb"))
    assert mesh.colors is None
    assert "texture for TEXCOORD_2" in mesh.note


def test_textures_are_transformed(tmp_path):
    glb = Glb()
    glb.attribute("TEXCOORD_0", UV)
    moved = {"offset": [0.5, 0.25], "scale": [0.5, 0.5]}
    glb.texture(halves(), extensions={"KHR_texture_transform": moved})
    mesh = load_mesh(glb.write(tmp_path / "a.glb"))
    assert np.allclose(color_at(mesh, 0, 0.1), BLUE, atol=1)
    # the example of the extension: the lower left quarter of the texture, rotated by 90°
    quarters = np.zeros((32, 32, 3), np.uint8)
    quarters[16:24, :16], quarters[24:, :16] = RED, BLUE
    moved = {"offset": [0, 1], "scale": [0.5, 0.5], "rotation": np.pi / 2}
    glb = Glb()
    glb.attribute("TEXCOORD_0", UV)
    glb.texture(quarters, extensions={"KHR_texture_transform": moved})
    mesh = load_mesh(glb.write(tmp_path / "a.glb"))
    assert np.allclose(color_at(mesh, 0, 0.05), BLUE, atol=1)
    assert np.allclose(color_at(mesh, 0, 0.15), RED, atol=1)


@pytest.mark.parametrize(("dtype", "largest"), [("i1", 127), ("i2", 32767), ("u2", 65535)])
def test_quantised_positions_and_coordinates_are_scaled(tmp_path, dtype, largest):
    glb = Glb()
    glb.tree["extensionsRequired"] = ["KHR_mesh_quantization"]
    glb.tree["nodes"] = [{"mesh": 0, "scale": [0.2, 0.2, 0.2], "translation": [1, 0, 0]}]
    glb.attribute("POSITION", (SQUARE * 5 * largest).round().astype(f"<{dtype}"), True)
    glb.attribute("TEXCOORD_0", (UV * 255).astype(np.uint8), True)
    glb.texture(halves())
    mesh = load_mesh(glb.write(tmp_path / "a.glb"))
    assert np.allclose(mesh.vertices.max(0), (1.2, 0.2, 0), atol=1e-6)
    assert np.allclose(color_at(mesh, 0, 1.05), RED, atol=1)
    assert mesh.note == ""


@pytest.mark.parametrize("is_required", [True, False])
@pytest.mark.parametrize("name", ["KHR_draco_mesh_compression", "EXT_meshopt_compression"])
def test_compressed_files_are_refused_by_name(tmp_path, name, is_required):
    glb = Glb()
    glb.primitive["extensions"] = {name: {"bufferView": 0}}
    if is_required:
        glb.tree["extensionsRequired"] = [name]
    del glb.tree["accessors"][glb.primitive["attributes"]["POSITION"]]["bufferView"]
    with pytest.raises(InvalidMesh, match=r"compressed with (Draco|meshopt).*without compression"):
        load_mesh(glb.write(tmp_path / "a.glb"))


def test_an_uncompressed_copy_beside_compressed_data_is_read(tmp_path):
    glb = Glb()
    glb.primitive["extensions"] = {"KHR_draco_mesh_compression": {"bufferView": 0}}
    assert len(load_mesh(glb.write(tmp_path / "a.glb")).faces) == 2


def test_a_texture_of_an_unknown_format_leaves_no_colours(tmp_path):
    glb = Glb()
    glb.attribute("TEXCOORD_0", UV)
    glb.texture(halves())
    glb.tree["textures"] = [{"extensions": {"KHR_texture_basisu": {"source": 0}}}]
    mesh = load_mesh(glb.write(tmp_path / "a.glb"))
    assert mesh.colors is None
    assert "KHR_texture_basisu" in mesh.note


@pytest.mark.slow
def test_a_texture_beside_the_file_has_an_escaped_name_and_is_in_the_cache_key(tmp_path):
    glb = Glb()
    glb.attribute("TEXCOORD_0", UV)
    glb.texture(halves())
    glb.tree["images"] = [{"uri": "my%20skin.png"}]
    Image.fromarray(halves()).save(tmp_path / "my skin.png")
    path = glb.write(tmp_path / "a.glb")
    assert companions(path) == [tmp_path / "my skin.png"]
    before = onboard(path)
    Image.fromarray(halves(BLUE, RED)).save(tmp_path / "my skin.png")
    assert onboard(path).content_hash != before.content_hash


@pytest.mark.parametrize(("mode", "order"), [(5, [0, 1, 3, 2]), (6, [0, 1, 2, 3])])
def test_strips_and_fans_are_triangles(tmp_path, mode, order):
    glb = Glb()
    glb.primitive |= {"mode": mode, "indices": glb.add(np.array(order, np.uint16))}
    mesh = load_mesh(glb.write(tmp_path / "a.glb"))
    corners = mesh.vertices[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert np.allclose(normals, (0, 0, 0.04), atol=1e-6)


def test_sparse_accessors_replace_single_values(tmp_path):
    glb = Glb()
    places = glb.view(np.array([2], np.uint16).tobytes())
    values = glb.view(np.array([0.3, 0.3, 0], np.float32).tobytes())
    position = glb.tree["accessors"][glb.primitive["attributes"]["POSITION"]]
    position["sparse"] = {
        "count": 1,
        "indices": {"bufferView": places, "componentType": 5123},
        "values": {"bufferView": values},
    }
    mesh = load_mesh(glb.write(tmp_path / "a.glb"))
    assert np.allclose(mesh.vertices.max(0), (0.3, 0.3, 0))
