"""Things on a table or in a bin, photographed from several places around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.mesh import Mesh
from sam6d_ros.cad.onboard import onboard_mesh
from sam6d_ros.errors import InvalidInput
from sam6d_ros.evaluation.synthetic import noise, prints
from sam6d_ros.evaluation.synthetic.objects import Item
from sam6d_ros.evaluation.synthetic.paths import look_at
from sam6d_ros.evaluation.synthetic.placement import Area, place
from sam6d_ros.evaluation.synthetic.render import Board, Body, World
from sam6d_ros.evaluation.synthetic.room import room
from sam6d_ros.evaluation.synthetic.scene import (
    CAMERA,
    SyntheticScene,
    photographed,
    ray_scene_of,
    solid_of,
)

Array = NDArray[np.float64]

DISTANCE_M = (0.70, 0.82)  # of each place
WHOLE_TABLE = Area()
BEHIND_RAD = 0.4
TARGET = np.array([0.0, 0.0, 0.04])  # what the camera looks at
MARGIN_M = 0.02  # from the things to the walls of a bin


@dataclass(frozen=True)
class Arrangement:
    """Things, and the places that they are seen from.

    Attributes:
        targets: things to find; several of one name are instances of one object.
        others: things that stand among them.
        azimuths: of the camera around the vertical axis, radians.
        behind: whether the last place is turned to look along x of the first target, within
            ``BEHIND_RAD``: what the target has at that side is hidden.
        elevation: least and largest of the camera, radians.
        area: part of the table with all things.
        walls_m: height of the walls of a bin around the area; 0 for none.
    """

    targets: Sequence[Item]
    others: Sequence[Item] = ()
    azimuths: Sequence[float] = (-1.05, -0.35, 0.35, 1.05)
    behind: bool = False
    elevation: tuple[float, float] = (0.75, 1.05)
    area: Area = WHOLE_TABLE
    walls_m: float = 0.0


def make_views(arrangement: Arrangement, seed: int) -> SyntheticScene:
    """Arrange things and photograph them from each place; the same seed gives the same pixels.

    Args:
        arrangement: the things and places.
        seed: decides where things stand, the camera's elevation and distance, and the noise.

    Returns:
        One view per place; each object once.

    Raises:
        InvalidInput: a target finds no room.
    """
    rng, sensor = np.random.default_rng(seed), noise.Sensor()
    targets, things = arrangement.targets, [*arrangement.targets, *arrangement.others]
    vertices = [solid_of(item).vertices for item in things]
    poses = place(vertices, [item.ups for item in things], arrangement.area, rng)
    if any(pose is None for pose in poses[: len(targets)]):
        raise InvalidInput(f"{len(targets)} targets find no room on the table; ask for fewer")
    stand = zip(things, poses, strict=True)
    bodies = [Body(ray_scene_of(item), pose) for item, pose in stand if pose is not None]
    light = np.array([rng.uniform(-0.9, 0.2), rng.uniform(-0.9, -0.1), rng.uniform(1.2, 1.7)])
    world = World(bodies, [*room(rng), *_walls(arrangement)], light)
    tint = noise.Tint.drawn(sensor, rng)
    views = []
    turn = _turn(arrangement, bodies[0].world_from_obj, rng) if arrangement.behind else 0.0
    for index, azimuth in enumerate(arrangement.azimuths):
        elevation, distance = rng.uniform(*arrangement.elevation), rng.uniform(*DISTANCE_M)
        camera = look_at(TARGET, turn + azimuth, elevation, distance, 0.0)
        views.append(photographed(world, targets, CAMERA, camera, sensor, tint, index, rng))
    distinct = {item.name: solid_of(item) for item in targets}
    models = [
        onboard_mesh(Mesh(solid.vertices, solid.faces, solid.colors), name)
        for name, solid in distinct.items()
    ]
    return SyntheticScene(models, tuple(views), tuple(distinct.values()))


def _turn(arrangement: Arrangement, world_from_obj: Array, rng: np.random.Generator) -> float:
    """Return the angle to add to all azimuths, so that the last one looks along x of an object."""
    x, y, _ = world_from_obj[:3, 0]
    along = np.arctan2(-x, y)  # see ``look_at``
    return float(along - arrangement.azimuths[-1] + rng.uniform(-BEHIND_RAD, BEHIND_RAD))


def _walls(arrangement: Arrangement) -> list[Board]:
    """Return the walls of a bin."""
    height = arrangement.walls_m
    if not height:
        return []
    x, y = arrangement.area.half_x + MARGIN_M, arrangement.area.half_y + MARGIN_M
    grey, down = prints.blank(0.1, 0.1, (128, 130, 134)), np.array([0.0, 0.0, -height])
    corners = [np.array([a, b, height]) for a, b in ((-x, -y), (x, -y), (x, y), (-x, y))]
    pairs = zip(corners, [*corners[1:], corners[0]], strict=True)
    return [Board(here, there - here, down, grey) for here, there in pairs]
