"""Material libraries of OBJ files (MTL).

Reference: Alias|Wavefront, "MTL material format", version 4.2, 1995
(https://paulbourke.net/dataformats/mtl/).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from sam6d_ros.cad.readers.companions import Companions

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
# Options stand between "map_Kd" and the file name: u v w of which v and w may be left out, on/off,
# one or two numbers, or one word.
_OPTION = re.compile(
    rf"-(?:(?P<uvw>o|s|t)(?P<values>(?:\s+{_NUMBER}(?=\s)){{1,3}})"
    r"|(?P<switch>blendu|blendv|clamp|cc)\s+(?P<state>on|off)"
    rf"|mm\s+{_NUMBER}\s+{_NUMBER}|(?:bm|boost|texres)\s+{_NUMBER}|(?:imfchan|type)\s+\S+)\s+",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Material:
    """Diffuse colour of one material.

    Attributes:
        color: RGB in 0 to 1, or None if the file states none.
        texture: file name as stated, or "".
        file: the texture that was found, or None.
        scale, offset: of texture coordinates, u and v.
        is_clamped: whether the texture does not repeat.
    """

    color: tuple[float, float, float] | None = None
    texture: str = ""
    file: Path | None = None
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)
    is_clamped: bool = False


def read_materials(path: Path, companions: Companions) -> dict[str, Material]:
    """Return the materials of a library by name; textures are looked up, not read.

    Args:
        path: of the library.
        companions: finds textures.

    Raises:
        InvalidMesh: a texture is outside the folder of a confined mesh.
    """
    materials: dict[str, Material] = {}
    name = ""
    for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines():
        key, _, value = line.strip().replace("\t", " ").partition(" ")
        key, value = key.lower(), value.strip()
        if key == "newmtl":
            name = value
            materials[name] = Material()
        elif key == "kd":
            materials[name] = replace(materials.get(name, Material()), color=_color(value))
        elif key == "map_kd" and value:
            found = _textured(materials.get(name, Material()), value)
            materials[name] = replace(found, file=companions.find(found.texture, beside=path))
    return materials


def _color(value: str) -> tuple[float, float, float] | None:
    """Return ``Kd r g b``; one number is that of all; ``spectral`` and ``xyz`` give none."""
    try:
        numbers = [float(word) for word in value.split()[:3]]
    except ValueError:
        return None
    if len(numbers) != 3:
        return (numbers[0],) * 3 if numbers else None
    return numbers[0], numbers[1], numbers[2]


def _textured(material: Material, value: str) -> Material:
    """Return the material with the texture of a ``map_Kd`` line."""
    while (option := _OPTION.match(value)) is not None:
        value = value[option.end() :]
        if (option["switch"] or "").lower() == "clamp":
            material = replace(material, is_clamped=option["state"].lower() == "on")
        if (kind := (option["uvw"] or "").lower()) in ("o", "s"):
            # v is that of the default (0 or 1) where it is left out
            first, second = [*map(float, option["values"].split()), float(kind == "s")][:2]
            moved = material.offset if kind == "s" else (first, second)
            scale = material.scale if kind == "o" else (first, second)
            material = replace(material, offset=moved, scale=scale)
    return replace(material, texture=value)
