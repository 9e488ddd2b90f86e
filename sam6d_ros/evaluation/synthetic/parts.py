"""CAD files as objects of a synthetic scene."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.onboard import onboard
from sam6d_ros.errors import InvalidMesh
from sam6d_ros.evaluation.synthetic.objects import BACK, DOWN, FRONT, LEFT, RIGHT, UP, Item
from sam6d_ros.evaluation.synthetic.patches import Solid

SMALLEST_M, LARGEST_M = 0.03, 0.35  # diameters that the table and the camera of the scene suit
PLAIN = (168, 170, 174)  # of a file without colours


def part_of(path: Path, unit: str, cache_dir: Path | None) -> Item:
    """Return a CAD file as a target; it may stand on any side of its box.

    Raises:
        InvalidMesh: the file is unusable, its unit unclear, or its size does not suit the scene.
    """
    model = onboard(path, unit=unit, cache_dir=cache_dir)
    if not SMALLEST_M <= model.diameter <= LARGEST_M:
        raise InvalidMesh(
            f"{path} has a diameter of {model.diameter:.3g} m ({model.unit_note}); the synthetic "
            f"scene takes {SMALLEST_M} m to {LARGEST_M} m; state the unit by --cad-unit"
        )
    return Item(model.name, partial(_solid, model), (UP, DOWN, FRONT, BACK, LEFT, RIGHT))


def _solid(model: ObjectModel) -> Solid:
    colors = model.colors
    if colors is None:
        colors = np.tile(np.array(PLAIN, np.uint8), (len(model.vertices), 1))
    return Solid(np.asarray(model.vertices, np.float64), model.faces, colors)
