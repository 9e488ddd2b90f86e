"""PLY files: colours of vertices and faces by their type, under the names that exporters use.

The elements are read by trimesh, which takes ``red green blue`` only and takes values of integers
as shares of the largest of their type.

Reference: Greg Turk, "The PLY Polygon File Format", 1994 (https://paulbourke.net/dataformats/ply/);
``diffuse_red`` is of VCGlib (MeshLab) and Visual Computing exporters.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image
from trimesh.visual.material import SimpleMaterial
from trimesh.visual.texture import TextureVisuals

from sam6d_ros.cad.readers.companions import Companions

MAX_HEADER_BYTES = 1 << 16
_NAMES = (
    ("red", "green", "blue"),
    ("diffuse_red", "diffuse_green", "diffuse_blue"),
    ("r", "g", "b"),
)


def find_files(path: Path, companions: Companions) -> None:
    """Look up the textures of a file; raise as ``Companions``.

    Args:
        path: of the PLY file.
        companions: receives the files.
    """
    for name in _textures(path):
        companions.find(name)


def load(path: Path, companions: Companions) -> list[Any]:
    """Return the mesh, or a point cloud; raise as trimesh.

    Args:
        path: of the PLY file.
        companions: finds textures.
    """
    with path.open("rb") as file:
        content = trimesh.exchange.ply.load_ply(file, skip_materials=True)
    if "vertices" not in content:
        return []
    if content.get("faces") is None:
        return [trimesh.PointCloud(content["vertices"])]
    faces = np.asarray(content["faces"])
    quads = faces.shape[1] == 4
    if quads:
        faces = trimesh.geometry.triangulate_quads(faces)
    mesh = trimesh.Trimesh(content["vertices"], faces, process=False)
    uv = getattr(content.get("visual"), "uv", None)
    image = _texture(path, companions)
    if image is not None and uv is not None and not quads:
        mesh.visual = TextureVisuals(uv=uv, material=SimpleMaterial(image=image))
        return [mesh]
    if image is not None:
        companions.warn("has a texture but no texture coordinates of triangles; it is not read")
    _color(mesh, content["metadata"]["_ply_raw"], quads, companions)
    return [mesh]


def _texture(path: Path, companions: Companions) -> Image.Image | None:
    names = _textures(path)
    files = [file for name in names if (file := companions.find(name)) is not None]
    if len(names) > 1:
        companions.warn(f"has {len(names)} textures; expected one in a PLY file. They are not read")
        return None
    return companions.image(files[0]) if files else None


def _color(
    mesh: trimesh.Trimesh, elements: dict[str, Any], quads: bool, companions: Companions
) -> None:
    """Set the colours of the vertices, or those of the faces where the vertices have none."""
    of_vertices = _colors(elements.get("vertex", {}), companions)
    of_faces = _colors(elements.get("face", {}), companions)
    if of_faces is not None and quads:
        of_faces = np.concatenate([of_faces, of_faces])  # the order of triangulate_quads
    if of_faces is not None and len(of_faces) != len(mesh.faces):
        companions.warn("has coloured faces of different numbers of corners; not read")
        of_faces = None
    if of_vertices is not None and len(of_vertices) != len(mesh.vertices):
        companions.warn("has coloured vertices beside texture coordinates of faces; not read")
        of_vertices = None
    is_plain = of_vertices is None or (of_vertices == of_vertices[0]).all()
    if of_faces is not None and is_plain:
        mesh.visual = trimesh.visual.ColorVisuals(mesh, face_colors=of_faces)
    elif of_vertices is not None:
        mesh.visual = trimesh.visual.ColorVisuals(mesh, vertex_colors=of_vertices)


def _colors(element: dict[str, Any], companions: Companions) -> NDArray[np.uint8] | None:
    """Return the (N, 3) colours of an element."""
    properties = element.get("properties", {})
    names = next((names for names in _NAMES if all(name in properties for name in names)), None)
    if names is None or not element.get("length"):
        return None
    columns = [np.asarray(element["data"][name]).reshape(-1) for name in names]
    kinds = {np.dtype(str(properties[name]).split(",")[0]) for name in names}
    return _bytes(np.stack(columns, axis=1).astype(np.float64), kinds.pop(), companions)


def _bytes(
    values: NDArray[np.float64], kind: np.dtype, companions: Companions
) -> NDArray[np.uint8] | None:
    """Scale colours by their type; larger types often hold values from 0 to 255."""
    top = values.max() if np.isfinite(values).all() else np.inf
    if kind.kind == "f":
        scale = 255.0 if top <= 1 else 1.0
    else:
        full = float(np.iinfo(kind).max)
        scale = 1.0 if top <= 255 else 255 / (65535.0 if top <= 65535 else full)
    if values.min() < 0 or top * scale > 255.5:
        companions.warn(
            f"has colours of type {kind.name} from {values.min():g} to {top:g}; expected 0 to 1, "
            "0 to 255 or the range of the type. They are not read"
        )
        return None
    return (values * scale + 0.5).clip(0, 255).astype(np.uint8)


def _textures(path: Path) -> list[str]:
    """Return the names after ``comment TextureFile``, which may have blanks."""
    with path.open("rb") as file:
        head = file.read(MAX_HEADER_BYTES).split(b"end_header")[0]
    text = head.decode("utf-8", errors="replace")
    names = re.findall(r"^comment\s+TextureFile\s+(\S.*?)\s*$", text, re.MULTILINE | re.IGNORECASE)
    return list(dict.fromkeys(names))
