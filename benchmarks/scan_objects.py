"""Six objects that are filmed and scanned: real ones, path-traced ones, generated ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from sam6d_ros.cad.mesh import load_mesh
from sam6d_ros.errors import InvalidConfig
from sam6d_ros.evaluation.synthetic.objects import TARGETS, Item
from sam6d_ros.evaluation.synthetic.patches import Solid
from sam6d_ros.geometry.units import MM_PER_M

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"
UP = (0, 0, 1)
FILES = {
    "potted_meat_can": "real/ycbv/models/obj_000009.ply",
    "sugar_box": "real/ycbv/models/obj_000003.ply",
    "violet_mug": "pbr/table/models/obj_000001.ply",
    "plate": "pbr/table/models/obj_000012.ply",
}
MADE = ("mug", "soup_can")
NAMES = (*FILES, *MADE)


def items(names: tuple[str, ...] = NAMES) -> list[Item]:
    """Return the objects.

    Raises:
        InvalidConfig: a mesh file is missing.
    """
    made = {item.name: item for item in TARGETS}
    return [made[name] if name in made else Item(name, _maker(name), (UP,)) for name in names]


def _maker(name: str) -> Callable[[], Solid]:
    path = SHARED / FILES[name]
    if not path.is_file():
        raise InvalidConfig(f"{path} is missing; expected the meshes beside the repository")
    return partial(_read, path)


def _read(path: Path) -> Solid:
    mesh = load_mesh(path)
    vertices = np.asarray(mesh.vertices, np.float64) / MM_PER_M
    low, high = vertices.min(0), vertices.max(0)
    colors = np.full((len(vertices), 3), 150, np.uint8) if mesh.colors is None else mesh.colors
    return Solid(vertices - (low + high) / 2, mesh.faces, colors)
