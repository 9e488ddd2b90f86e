"""glTF 2.0 files (GLB, glTF): meshes in the frame of the scene, with their colours in sRGB.

trimesh leaves linear colours as they are, takes TEXCOORD_0 always, and does not scale normalised
integers, so the file is read here. Vertex colours and baseColorFactor are linear, textures sRGB;
the three are multiplied in linear space.

Reference: Khronos Group, "glTF 2.0 Specification" (ISO/IEC 12113:2022), sections 3.7 and 3.9;
KHR_texture_transform, KHR_materials_pbrSpecularGlossiness.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image
from trimesh.visual.material import SimpleMaterial
from trimesh.visual.texture import TextureVisuals

from sam6d_ros.cad.readers.companions import Companions
from sam6d_ros.cad.readers.gltf_content import GltfContent
from sam6d_ros.errors import InvalidMesh, TooLarge
from sam6d_ros.geometry.color import srgb_from_linear

_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_CLAMP_TO_EDGE = 33071
_PART_FACES = 100  # faces that cost as much time as a further part
COMPRESSIONS = {
    "KHR_draco_mesh_compression": "Draco",
    "EXT_meshopt_compression": "meshopt",
    "KHR_meshopt_compression": "meshopt",
}
_READ = ("KHR_mesh_quantization", "KHR_texture_transform", "EXT_texture_webp")
_SPECULAR = "KHR_materials_pbrSpecularGlossiness"


def find_files(path: Path, companions: Companions) -> None:
    """Look up the buffers and textures of a file; raise as ``Companions``.

    Args:
        path: of the GLB or glTF file.
        companions: receives the files.
    """
    GltfContent(path, companions).find_files()


def load(path: Path, companions: Companions) -> list[Any]:
    """Return one mesh per primitive and node.

    Args:
        path: of the GLB or glTF file.
        companions: finds buffers and textures.

    Raises:
        InvalidMesh: the file is damaged, compressed or refers to a missing buffer.
        TooLarge: all uses of its meshes together have too many faces.
    """
    content = GltfContent(path, companions)
    content.find_files()
    _check_extensions(path, content.tree, companions)
    parts = []
    placed = _placed_meshes(content.tree, companions.max_faces // _PART_FACES)
    _check_faces(content.tree, [mesh for mesh, _ in placed], companions.max_faces)
    for mesh_index, scene_from_mesh in placed:
        for primitive in content.tree["meshes"][mesh_index]["primitives"]:
            part = _primitive(content, primitive, companions)
            parts.append(part.apply_transform(scene_from_mesh))
    return parts


def _check_extensions(path: Path, tree: dict[str, Any], companions: Companions) -> None:
    for name in tree.get("extensionsRequired", []):
        if name in COMPRESSIONS:
            raise InvalidMesh(
                f"{path} is compressed with {COMPRESSIONS[name]} ({name}), which cannot be read; "
                "export it again without compression, or decompress it (gltf-transform, Blender)"
            )
        if name not in _READ and not str(name).startswith("KHR_materials_"):
            companions.warn(f"requires the glTF extension {name}, which is not read")


def _check_faces(tree: dict[str, Any], used: list[int], most: int) -> None:
    """Refuse a scene that is too large once each node has its own copy of its mesh."""
    accessors = tree.get("accessors", [])
    sizes = {mesh: _faces_of(tree["meshes"][mesh]["primitives"], accessors) for mesh in set(used)}
    total = sum(sizes[mesh] for mesh in used)
    if total > most:
        raise TooLarge(
            f"the {len(used):,} uses of meshes in the scene have about {total:,} faces in all; at "
            f"most {most:,} can be loaded. Decimate it first: 200,000 faces are plenty"
        )


def _faces_of(primitives: list[dict[str, Any]], accessors: list[dict[str, Any]]) -> int:
    """Return the faces that primitives cost; their vertices count where they are more."""
    total = 0
    for primitive in primitives:
        vertices = abs(int(accessors[primitive["attributes"]["POSITION"]]["count"]))
        corners = vertices
        if "indices" in primitive:
            corners = abs(int(accessors[primitive["indices"]]["count"]))
        is_list = primitive.get("mode", _TRIANGLES) == _TRIANGLES
        total += max(corners // 3 if is_list else corners, vertices // 3, _PART_FACES)
    return total


def _placed_meshes(tree: dict[str, Any], most: int) -> list[tuple[int, NDArray[np.float64]]]:
    """Return each use of a mesh with its placement, scene_from_mesh (section 3.5)."""
    nodes, scenes = tree.get("nodes", []), tree.get("scenes", [])
    if scenes:
        roots = scenes[tree.get("scene", 0)].get("nodes", [])
    else:
        children = {child for node in nodes for child in node.get("children", [])}
        roots = [index for index in range(len(nodes)) if index not in children]
    found, left = [], [(index, np.eye(4), 0) for index in roots]
    while left:
        index, scene_from_parent, depth = left.pop(0)
        if depth > len(nodes):
            raise InvalidMesh("a node of the scene is its own descendant; export it again")
        node = nodes[index]
        placed = scene_from_parent @ _parent_from_node(node)
        if "mesh" in node:
            found.append((int(node["mesh"]), placed))
        left += [(child, placed, depth + 1) for child in node.get("children", [])]
        if len(left) + len(found) > most:
            raise TooLarge(f"the scene has more than {most:,} nodes; join its parts")
    return found


def _parent_from_node(node: dict[str, Any]) -> NDArray[np.float64]:
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T  # stored by columns
    x, y, z, w = node.get("rotation", (0.0, 0.0, 0.0, 1.0))
    matrix = trimesh.transformations.quaternion_matrix((w, x, y, z))
    matrix[:3, :3] *= np.asarray(node.get("scale", (1.0, 1.0, 1.0)))
    matrix[:3, 3] = node.get("translation", (0.0, 0.0, 0.0))
    return matrix


def _primitive(content: GltfContent, primitive: dict[str, Any], companions: Companions) -> Any:
    attributes, mode = primitive["attributes"], primitive.get("mode", _TRIANGLES)
    _check_compression(content, primitive)
    vertices = content.accessor(attributes["POSITION"])
    order = np.arange(len(vertices))
    if "indices" in primitive:
        order = content.accessor(primitive["indices"]).ravel().astype(np.int64)
    if mode not in (_TRIANGLES, _STRIP, _FAN):
        return trimesh.PointCloud(vertices)
    mesh = trimesh.Trimesh(vertices, _faces(order, mode), process=False)
    material = content.tree["materials"][primitive["material"]] if "material" in primitive else {}
    factor, texture = _base_color(material)
    colors = None
    if "COLOR_0" in attributes:
        colors = content.accessor(attributes["COLOR_0"])[:, :3] * factor
    elif (factor != 1).any() or _states_factor(material):
        colors = np.tile(factor, (len(vertices), 1))
    visual = None if texture is None else _texture(content, attributes, texture, companions)
    if visual is not None:
        if colors is not None and (colors != 1).any():
            visual.vertex_attributes["linear_color"] = colors
        mesh.visual = visual
    elif colors is not None and (texture is None or "COLOR_0" in attributes):
        rgb = (srgb_from_linear(colors.clip(0, 1)) * 255 + 0.5).astype(np.uint8)
        mesh.visual = trimesh.visual.ColorVisuals(mesh, vertex_colors=rgb)
    return mesh


def _check_compression(content: GltfContent, primitive: dict[str, Any]) -> None:
    position = content.tree["accessors"][primitive["attributes"]["POSITION"]]
    used = [name for name in primitive.get("extensions", {}) if name in COMPRESSIONS]
    if used and "bufferView" not in position:  # no uncompressed copy beside it
        raise InvalidMesh(
            f"the mesh is compressed with {COMPRESSIONS[used[0]]} ({used[0]}), which cannot be "
            "read; export it again without compression"
        )


def _faces(order: NDArray[np.int64], mode: int) -> NDArray[np.int64]:
    """Return triangles (section 3.7.2.1)."""
    if mode == _TRIANGLES:
        return order[: len(order) // 3 * 3].reshape(-1, 3)
    if mode == _FAN:
        return np.stack([np.full(len(order) - 2, order[0]), order[1:-1], order[2:]], axis=1)
    strip = np.stack([order[:-2], order[1:-1], order[2:]], axis=1)
    strip[1::2] = strip[1::2, [1, 0, 2]]  # each other triangle runs the other way round
    return strip


def _states_factor(material: dict[str, Any]) -> bool:
    return "baseColorFactor" in material.get("pbrMetallicRoughness", {})


def _base_color(material: dict[str, Any]) -> tuple[NDArray[np.float64], dict[str, Any] | None]:
    """Return the linear factor (3,) and the texture of a material's colour."""
    specular = material.get("extensions", {}).get(_SPECULAR)
    if specular is not None:
        factor, texture = specular.get("diffuseFactor"), specular.get("diffuseTexture")
    else:
        metallic = material.get("pbrMetallicRoughness", {})
        factor, texture = metallic.get("baseColorFactor"), metallic.get("baseColorTexture")
    return np.ones(3) if factor is None else np.asarray(factor, np.float64)[:3], texture


def _texture(
    content: GltfContent,
    attributes: dict[str, Any],
    info: dict[str, Any],
    companions: Companions,
) -> TextureVisuals | None:
    """Return the texture with the coordinates that it names, or None with a warning."""
    moved = info.get("extensions", {}).get("KHR_texture_transform", {})
    name = f"TEXCOORD_{moved.get('texCoord', info.get('texCoord', 0))}"
    if name not in attributes:
        companions.warn(f"has a texture for {name}, which its mesh has not; it gives no colours")
        return None
    texture = content.tree["textures"][info["index"]]
    image = _image(content, texture, companions)
    if image is None:
        return None
    uv = _transformed(content.accessor(attributes[name]), moved)
    sampler = content.tree["samplers"][texture["sampler"]] if "sampler" in texture else {}
    for axis, key in enumerate(("wrapS", "wrapT")):
        if sampler.get(key) == _CLAMP_TO_EDGE:
            uv[:, axis] = uv[:, axis].clip(0, 1)
    uv[:, 1] = 1 - uv[:, 1]  # glTF's origin is the upper left corner, that of trimesh the lower
    return TextureVisuals(uv=uv, material=SimpleMaterial(image=image))


def _transformed(uv: NDArray[np.float64], transform: dict[str, Any]) -> NDArray[np.float64]:
    """Scale, rotate counter-clockwise as seen in the image (v points down), and shift."""
    angle = float(transform.get("rotation", 0.0))
    turned = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    scaled = uv * transform.get("scale", (1.0, 1.0))
    return scaled @ turned.T + transform.get("offset", (0.0, 0.0))


def _image(
    content: GltfContent, texture: dict[str, Any], companions: Companions
) -> Image.Image | None:
    webp = texture.get("extensions", {}).get("EXT_texture_webp", {})
    source = webp.get("source", texture.get("source"))
    if source is None:
        named = ", ".join(texture.get("extensions", {})) or "no image"
        companions.warn(f"has a texture that cannot be read ({named}); it gives no colours")
        return None
    data, name = content.image(source)
    return None if data is None else companions.decoded(data, name)
