"""The synthetic objects: what is looked for, and the clutter that is not. Metres, z up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation

from sam6d_ros.evaluation.synthetic import prints
from sam6d_ros.evaluation.synthetic.patches import (
    Solid,
    box,
    disc,
    ellipsoid,
    join,
    lathe,
    quad,
    tube,
)

Array = NDArray[np.float64]
STEEL, DARK = (150, 156, 162), (60, 62, 66)
UP, DOWN, FRONT, BACK, RIGHT = (0, 0, 1), (0, 0, -1), (0, -1, 0), (0, 1, 0), (1, 0, 0)
LEFT = (-1, 0, 0)


@dataclass(frozen=True)
class Item:
    """A thing that can stand on the table.

    Attributes:
        name: class id.
        make: builds it.
        ups: directions of the object that may point upwards when it rests on the table.
    """

    name: str
    make: Callable[[], Solid]
    ups: tuple[tuple[int, int, int], ...]


def tea_box() -> Solid:
    """A printed carton."""
    size = (0.125, 0.06, 0.17)
    return box(size, prints.tea_box(size))


def soup_can() -> Solid:
    """A labelled can with rims."""
    radius, half = 0.036, 0.053
    side = [(radius, half), (radius, -half)]
    label = prints.soup_label(2 * np.pi * radius, 2 * half)
    rim = [(radius - 0.002, 0.003), (radius + 0.001, 0.0015), (radius + 0.001, -0.0015)]
    top, bottom = ([(r, z + s * half) for r, z in rim] for s in (1, -1))
    return join(
        lathe(side, label),
        lathe(top, STEEL),
        lathe(bottom, STEEL),
        disc(radius - 0.001, half - 0.002, STEEL),
        disc(radius, -half, DARK),
    )


def mug() -> Solid:
    """A mug: outside, inside, rim, bottom and a handle."""
    radius, height, wall = 0.041, 0.095, 0.004
    outside = prints.mug_print(2 * np.pi * radius, height)
    white = (226, 224, 216)
    angle = np.linspace(-np.pi / 2, np.pi / 2, 40)
    handle = np.stack(
        [radius - 0.003 + 0.03 * np.cos(angle), 0 * angle, 0.05 + 0.03 * np.sin(angle)], axis=1
    )
    return join(
        lathe([(radius, height), (radius, 0.006), (radius - 0.005, 0)], outside),
        lathe([(radius - wall, height), (radius - wall, wall)], white),
        lathe([(radius, height), (radius - wall, height)], white),
        disc(radius - wall, wall, (150, 128, 108)),
        disc(radius - 0.005, 0, white),
        tube(handle, 0.0055, (40, 92, 150)),
    )


def bracket() -> Solid:
    """A machined angle without print: two unequal plates, one gusset off the middle, a boss."""
    blue, sides = (70, 92, 128), [(70, 92, 128)] * 6
    base = box((0.12, 0.07, 0.012), sides).moved((0, 0, 0.006))
    wall = box((0.012, 0.07, 0.075), sides).moved((-0.054, 0, 0.012 + 0.0375))
    x, z = 0.05, 0.05
    gusset = []
    for y in (0.012, 0.022):
        corner = np.array([-0.048, y, 0.012])
        # a triangle: a quad that shrinks to its upper end
        steps = np.linspace(0, 1, 40)
        for a, b in pairwise(steps):
            low = corner + np.array([0, 0, a * z])
            gusset.append(quad(low, ((1 - a) * x, 0, 0), (0, 0, (b - a) * z), blue))
    slope = quad((0.002, 0.012, 0.012), (0, 0.01, 0), (-x, 0, z), blue)
    boss = join(
        lathe([(0.014, 0.032), (0.014, 0.012)], blue),
        lathe([(0.014, 0.032), (0.007, 0.032)], blue),
        lathe([(0.007, 0.032), (0.007, 0.012)], DARK),
    ).moved((0.035, -0.014, 0))
    return join(base, wall, *gusset, slope, boss)


def toy_cat() -> Solid:
    """A sitting toy cat of ellipsoids, cones and a tail; it looks along -y."""
    fur, face = prints.cat_fur(1), prints.cat_face()
    half_turn = Rotation.from_euler("z", 180, degrees=True).as_matrix()
    head = ellipsoid((0.029, 0.026, 0.025), face).moved((0, -0.022, 0.098), half_turn)
    orange, pink = (190, 108, 40), (214, 140, 130)
    ears = []
    for x in (-0.017, 0.017):
        tilt = Rotation.from_euler("y", 12 * np.sign(x), degrees=True).as_matrix()
        ear = lathe([(0.0005, 0.030), (0.011, 0.0)], orange, squash=0.5)
        inner = lathe([(0.0004, 0.025), (0.007, 0.002)], pink, squash=0.5).moved((0, -0.0035, 0))
        ears.append(join(ear, inner).moved((x, -0.022, 0.112), tilt))
    angle = np.linspace(0, 1.15 * np.pi, 40)
    path = np.stack(
        [0.02 + 0.045 * np.sin(angle), 0.03 - 0.018 * angle, 0.011 + 0.001 * angle], axis=1
    )
    legs = [
        ellipsoid((0.011, 0.013, 0.032), (226, 150, 78)).moved((x, -0.032, 0.034))
        for x in (-0.014, 0.014)
    ]
    paws = [
        ellipsoid((0.011, 0.016, 0.009), (240, 232, 220)).moved((x, -0.044, 0.009))
        for x in (-0.014, 0.014)
    ]
    body = ellipsoid((0.036, 0.040, 0.050), fur).moved((0, 0.006, 0.050))
    return join(body, head, *ears, *legs, *paws, tube(path, 0.009 - 0.0015 * angle / 3.6, orange))


def bottle() -> Solid:
    """An oval detergent bottle with a cap."""
    height, squash = 0.165, 0.6
    profile = [(0.013, height), (0.014, 0.150), (0.030, 0.132), (0.036, 0.11), (0.034, 0.07)]
    profile += [(0.037, 0.03), (0.037, 0.006), (0.034, 0.0)]
    shape = PchipInterpolator(np.arange(len(profile)), profile)
    smooth = [(float(r), float(z)) for r, z in shape(np.linspace(0, len(profile) - 1, 60))]
    cap = [(0.002, height + 0.028), (0.008, height + 0.028), (0.012, height + 0.012)]
    cap += [(0.016, height + 0.012), (0.016, height - 0.006)]
    nozzle = box((0.03, 0.008, 0.008), [(236, 150, 30)] * 6).moved((0.017, 0, height + 0.024))
    return join(
        lathe(smooth, prints.bottle_label(2 * np.pi * 0.037, height), squash),
        lathe(cap, (236, 150, 30)),
        disc(0.034, 0, (200, 204, 206), squash),
        nozzle,
    )


def book() -> Solid:
    """Clutter: a book."""
    size = (0.15, 0.21, 0.024)
    cover, pages = prints.blank(0.15, 0.21, (92, 44, 88)), (228, 222, 204)
    prints.text(cover, "FIELD", (0.5, 0.25), 0.09, (232, 220, 190))
    prints.text(cover, "NOTES", (0.5, 0.42), 0.09, (232, 220, 190))
    prints.stripe(cover, 0.8, 0.82, (232, 220, 190))
    return box(size, [pages, pages, (92, 44, 88), pages, cover, (92, 44, 88)])


def wooden_block() -> Solid:
    """Clutter: a wooden block."""
    return box((0.045, 0.045, 0.09), [prints.wood((90, 180), 5, (206, 168, 116))] * 6)


def orange() -> Solid:
    """Clutter: an orange."""
    peel = np.full((80, 160, 3), (236, 138, 34), np.float64)
    peel += np.random.default_rng(2).normal(0, 9, (80, 160, 1))
    return ellipsoid((0.037, 0.037, 0.035), np.clip(peel, 0, 255).astype(np.uint8))


def tape_roll() -> Solid:
    """Clutter: a roll of packing tape."""
    brown, card = (170, 124, 66), (196, 170, 130)
    ring = [(0.048, 0.022), (0.036, 0.022)]
    return join(
        lathe([(0.048, 0.022), (0.048, -0.022)], brown),
        lathe([(0.036, 0.022), (0.036, -0.022)], card),
        lathe(ring, (150, 108, 58)),
        lathe([(r, -z) for r, z in ring], (150, 108, 58)),
    )


TARGETS = (
    Item("tea_box", tea_box, (UP, UP, FRONT, BACK, LEFT, RIGHT)),
    Item("soup_can", soup_can, (UP, UP, FRONT, LEFT)),
    Item("mug", mug, (UP, UP, DOWN)),
    Item("bracket", bracket, (UP, UP, RIGHT, FRONT)),
    Item("toy_cat", toy_cat, (UP,)),
    Item("bottle", bottle, (UP, UP, FRONT, BACK)),
)
CLUTTER = (
    Item("book", book, (UP,)),
    Item("wooden_block", wooden_block, (UP, RIGHT)),
    Item("orange", orange, (UP,)),
    Item("tape_roll", tape_roll, (UP,)),
)
