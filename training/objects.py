"""Objects of the training scenes: named by kind and number, in groups, disjoint between splits.

A group is a catalogue. ``carton_207`` is a carton of group 2. Its look-alikes
are ``carton_207p`` (same shape, other print) and ``carton_207s`` (same print, other size).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from sam6d_ros.cad.mesh import Mesh
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.onboard import onboard_mesh
from sam6d_ros.errors import InvalidInput
from sam6d_ros.evaluation.synthetic.patches import Solid
from sam6d_ros.geometry.raycast import RayScene
from training.scan import with_errors
from training.shapes import MAKERS, PRINTED

COUNTS = {  # of each kind in a group
    "carton": 4, "can": 3, "bottle": 2, "mug": 2, "block": 1, "plate": 2, "angle": 2, "channel": 2,
    "gusset": 1, "ell": 1, "tee": 1, "bolt": 1, "flange": 1, "pulley": 1, "housing": 1,
}  # fmt: skip
GROUPS = {"train": range(0, 6), "validation": range(6, 8), "test": range(8, 10)}
OTHER_SIZE = (0.82, 1.22)  # factors of a look-alike of another size
CACHED = 60  # meshes in memory
_NAME = re.compile(r"([a-z]+)_(\d+)([ps]?)")


@dataclass(frozen=True)
class Drawn:
    """A name, taken apart.

    Attributes:
        kind: one of ``shapes.MAKERS``.
        number: decides size and print; its hundreds are the group.
        variant: "p" for another print, "s" for another size, "" for the object itself.
    """

    kind: str
    number: int
    variant: str

    def rng(self, *salt: int) -> np.random.Generator:
        """Return the generator of one aspect of the object."""
        return np.random.default_rng([self.number, *self.kind.encode(), *salt])


def parse(name: str) -> Drawn:
    """Split a name into kind, number and variant.

    Returns:
        The drawn object.

    Raises:
        InvalidInput: the name has another form, or its kind is unknown.
    """
    match = _NAME.fullmatch(name)
    if match is None or match[1] not in MAKERS:
        raise InvalidInput(f"object {name!r}; expected <kind>_<number>, kind of {list(MAKERS)}")
    return Drawn(match[1], int(match[2]), match[3])


def names(group: int) -> list[str]:
    """Return the catalogue of a group."""
    kinds = [kind for kind, count in COUNTS.items() for _ in range(count)]
    return [f"{kind}_{100 * group + i}" for i, kind in enumerate(kinds)]


def look_alike(name: str, rng: np.random.Generator) -> str:
    """Return the name of an object that resembles another one."""
    is_printed = parse(name).kind in PRINTED
    return name + ("p" if is_printed and rng.random() < 0.5 else "s")


@lru_cache(maxsize=CACHED)
def solid(name: str) -> Solid:
    """Return the true mesh of an object."""
    drawn = parse(name)
    ink = drawn.rng(1, ord(drawn.variant)) if drawn.variant == "p" else drawn.rng(1)
    made = MAKERS[drawn.kind](drawn.rng(0), ink)
    if drawn.variant != "s":
        return made
    return Solid(made.vertices * drawn.rng(2).choice(OTHER_SIZE), made.faces, made.colors)


@lru_cache(maxsize=CACHED)
def ray_scene(name: str) -> RayScene:
    """Return the true mesh, ready for ray casting."""
    made = solid(name)
    return RayScene(made.vertices, made.faces, made.colors)


@lru_cache(maxsize=CACHED)
def model(name: str, cache_dir: Path | None = None) -> ObjectModel:
    """Return the onboarded CAD model: the true mesh with the errors of CAD models.

    The symmetries are those of the true mesh: errors must not break them.
    """
    true, drawn = solid(name), parse(name)
    clean = onboard_mesh(Mesh(true.vertices, true.faces, true.colors), name, cache_dir=cache_dir)
    made = with_errors(true, drawn.kind in PRINTED, drawn.rng(3))
    mesh = Mesh(made.vertices, made.faces, made.colors)
    return onboard_mesh(mesh, name, symmetries=clean.symmetries, cache_dir=cache_dir)
