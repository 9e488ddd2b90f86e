"""Wavefront OBJ files with their materials and vertex colours.

The geometry is read by trimesh. It reads materials of plain names only, so they are read here.

References: Alias|Wavefront, "Object files (.obj)", version 3.0 (https://paulbourke.net/dataformats/obj/).
Colours after the coordinates of a vertex are an extension that MeshLab and scanners write; some
write them from 0 to 1 and some from 0 to 255.
"""

from __future__ import annotations

import re
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray
from trimesh.visual.material import SimpleMaterial
from trimesh.visual.texture import TextureVisuals

from sam6d_ros.cad.readers.companions import Companions
from sam6d_ros.cad.readers.mtl import Material, read_materials

_LIBRARY = re.compile(r"\s*mtllib\s+(\S.*)", re.IGNORECASE)
_COLORED = re.compile(r"^v(?:[ \t]+[-+.\deE]+){6}", re.MULTILINE)
_USE = re.compile(r"^[ \t]*usemtl[ \t]+(\S.*?)[ \t\r]*$", re.MULTILINE)


def find_files(path: Path, companions: Companions) -> None:
    """Look up the material libraries and textures of an OBJ file; raise as ``Companions``.

    Args:
        path: of the OBJ file.
        companions: receives the files.
    """
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        _materials([line for line in file if _LIBRARY.match(line)], companions)


def load(path: Path, companions: Companions) -> list[Any]:
    """Return one mesh per material, in file order of vertices; raise as trimesh.

    Args:
        path: of the OBJ file.
        companions: finds libraries and textures.
    """
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    text = _USE.sub(r"usemtl \1", text)
    lines = re.findall(r"^.*mtllib.*$", text, re.MULTILINE | re.IGNORECASE)
    materials = _materials(lines, companions)
    used = {name: _named(materials, name) for name in dict.fromkeys(_USE.findall(text))}
    for name, found in used.items():
        if found is None and materials:
            companions.warn(f"uses the material {name[:100]}, which its library has not")
    # trimesh takes the first "mtllib" of the text, and keeps the names that the library has
    library = "".join(f"newmtl {name}\n" for name in used)
    content = trimesh.exchange.obj.load_obj(
        StringIO(f"mtllib {_OWN}\n{text}"), resolver=_Library(library)
    )
    parts = content.get("geometry", {}).values()
    if all(item.get("vertex_colors") is None for item in parts) and _COLORED.search(text):
        companions.warn("has colours at some of its vertices only; they are not read")
    if "geometry" not in content:  # vertices without faces
        return [trimesh.PointCloud(content["vertices"])]
    only = next(iter(materials.values())) if len(materials) == 1 and not used else None
    return [_mesh(item, used.get(_material_name(item), only), companions) for item in parts]


_OWN = "materials"


class _Library(dict[str, BytesIO]):
    """The one library that trimesh reads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text.encode()

    def __missing__(self, name: str) -> bytes:
        return self._text


def _materials(lines: list[str], companions: Companions) -> dict[str, Material]:
    materials: dict[str, Material] = {}
    for line in lines:
        found = _LIBRARY.match(line)
        for library in [] if found is None else _libraries(found.group(1).strip(), companions):
            materials.update(read_materials(library, companions))
    return materials


def _libraries(names: str, companions: Companions) -> list[Path]:
    """Return the files of a ``mtllib`` line: one name, which may have blanks, or several."""
    whole = companions.look_up(names)
    if whole is not None:
        return [whole]
    parts = names.split() if len(re.findall(r"\.mtl\b", names, re.IGNORECASE)) > 1 else [names]
    return [path for part in parts if (path := companions.find(part)) is not None]


def _named(materials: dict[str, Material], name: str) -> Material | None:
    if name in materials:
        return materials[name]
    return next((m for key, m in materials.items() if key.lower() == name.lower()), None)


def _material_name(item: dict[str, Any]) -> str:
    material = getattr(item["visual"], "material", None)
    return str(getattr(material, "name", ""))


def _mesh(
    item: dict[str, Any], material: Material | None, companions: Companions
) -> trimesh.Trimesh:
    """Return a part with its appearance: texture, else vertex colours, else the plain colour."""
    mesh = trimesh.Trimesh(item["vertices"], item["faces"], process=False)
    uv = getattr(item["visual"], "uv", None)
    if material is not None and material.file is not None and uv is not None:
        image = companions.image(material.file)
        if image is not None:
            mesh.visual = TextureVisuals(
                uv=_texture_coordinates(uv, material), material=SimpleMaterial(image=image)
            )
            return mesh
    colors = _vertex_colors(item.get("vertex_colors"), companions)
    # beside a texture that is missing, Kd is the default of an exporter
    plain = None if material is None or material.texture else material.color
    if plain is not None and (colors is None or (colors == colors[0]).all()):
        colors = np.tile(_bytes(np.array(plain)), (len(mesh.vertices), 1))
    if colors is not None:
        mesh.visual = trimesh.visual.ColorVisuals(mesh, vertex_colors=colors)
    elif material is not None and material.file is not None and uv is None:
        companions.warn(f"has the texture {material.file.name} but no texture coordinates")
    return mesh


def _texture_coordinates(uv: NDArray, material: Material) -> NDArray[np.float64]:
    moved = np.asarray(uv, np.float64) * material.scale + material.offset
    return moved.clip(0, 1) if material.is_clamped else moved


def _vertex_colors(values: NDArray | None, companions: Companions) -> NDArray[np.uint8] | None:
    if values is None or not len(values):
        return None
    colors = np.asarray(values, np.float64)
    if not np.isfinite(colors).all() or colors.min() < 0 or colors.max() > 255:
        companions.warn(
            f"has vertex colours from {colors.min():g} to {colors.max():g}; expected 0 to 1 or 0 "
            "to 255. They are not read"
        )
        return None
    return _bytes(colors / 255 if colors.max() > 1 else colors)


def _bytes(rgb: NDArray) -> NDArray[np.uint8]:
    return (rgb.clip(0, 1) * 255 + 0.5).astype(np.uint8)
