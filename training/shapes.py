"""Kinds of objects: printed goods and plain industrial parts, their sizes drawn. Metres, z up."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.evaluation.synthetic import prints
from sam6d_ros.evaluation.synthetic.objects import DARK, STEEL
from sam6d_ros.evaluation.synthetic.patches import Solid, box, disc, join, lathe, tube

Rng = np.random.Generator
Color = tuple[int, int, int]
Place = tuple[float, float, float]
Profile = list[tuple[float, float]]
WHITE = (226, 224, 216)


def color(rng: Rng) -> Color:
    """Draw a colour that is neither black nor white."""
    red, green, blue = rng.integers(30, 235, 3)
    return int(red), int(green), int(blue)


def plain(rng: Rng) -> Color:
    """Draw the colour of an unprinted part: half of them are metal or grey plastic."""
    if rng.random() < 0.5:
        return color(rng)
    red, green, blue = np.clip(rng.integers(45, 200) + rng.integers(-10, 11, 3), 0, 255)
    return int(red), int(green), int(blue)


def printed(rng: Rng, width: float, height: float, base: Color) -> NDArray[np.uint8]:
    """Return a random print: stripes, spots and a word."""
    image = prints.blank(width, height, base)
    for _ in range(rng.integers(1, 4)):
        top = rng.uniform(0, 0.8)
        prints.stripe(image, top, top + rng.uniform(0.03, 0.2), color(rng))
    for _ in range(rng.integers(0, 4)):
        x, y = rng.uniform(0.2, 0.8, 2)
        prints.spot(image, (x, y), rng.uniform(0.05, 0.25) * min(1.0, height / width), color(rng))
    word = "".join(rng.choice(list("ABCDEFGHKLMNOPRSTUVW"), rng.integers(3, 7)))
    prints.text(image, word, (0.5, rng.uniform(0.2, 0.8)), 0.18, color(rng))
    return image


def plain_box(x: float, y: float, z: float, paint: Color, at: Place = (0, 0, 0)) -> Solid:
    """Return a box of one colour with its centre at a place."""
    return box((x, y, z), [paint] * 6).moved(at)


def turned(profile: Profile, paint: Color, at: Place = (0, 0, 0)) -> Solid:
    """Return a closed solid of revolution of a profile of (radius, z) from top to bottom."""
    caps = [disc(r, z, paint) for r, z in (profile[0], profile[-1]) if r > 0]
    return join(lathe(profile, paint), *caps).moved(at)


def carton(rng: Rng, ink: Rng) -> Solid:
    """Return a printed carton."""
    x, y, z = rng.uniform((0.05, 0.03, 0.06), (0.17, 0.08, 0.22))
    base = color(ink)
    sides = [printed(ink, a, b, base) for a, b in ((x, z), (x, z), (y, z), (y, z), (x, y))]
    return box((x, y, z), [*sides, base])


def can(rng: Rng, ink: Rng) -> Solid:
    """Return a labelled can."""
    radius, half = rng.uniform(0.022, 0.05), rng.uniform(0.03, 0.085)
    label = printed(ink, 2 * np.pi * radius, 2 * half, color(ink))
    side = lathe([(radius, half), (radius, -half)], label)
    return join(side, disc(radius, half, STEEL), disc(radius, -half, DARK))


def bottle(rng: Rng, ink: Rng) -> Solid:
    """Return a bottle with a round or oval section."""
    height, radius, squash = rng.uniform((0.12, 0.025, 0.6), (0.22, 0.04, 1.0))
    profile = [(0.4, 1.0), (0.45, 0.85), (1.0, 0.7), (0.95, 0.4), (1.0, 0.0)]
    outline = [(r * radius, z * height) for r, z in profile]
    label = printed(ink, 2 * np.pi * radius, height, color(ink))
    ends = disc(0.4 * radius, height, color(ink), squash), disc(radius, 0, DARK, squash)
    return join(lathe(outline, label, squash), *ends)


def mug(rng: Rng, ink: Rng) -> Solid:
    """Return a mug with a handle, printed or plain."""
    radius, height, wall = *rng.uniform((0.033, 0.07), (0.045, 0.11)), 0.004
    base = color(ink)
    is_printed = ink.random() < 0.5
    paint = printed(ink, 2 * np.pi * radius, height, base) if is_printed else base
    angle = np.linspace(-np.pi / 2, np.pi / 2, 30)
    x, z = radius - 0.003 + 0.028 * np.cos(angle), height / 2 + 0.026 * np.sin(angle)
    return join(
        lathe([(radius, height), (radius, 0)], paint),
        lathe([(radius - wall, height), (radius - wall, wall)], WHITE),
        lathe([(radius, height), (radius - wall, height)], WHITE),
        disc(radius - wall, wall, WHITE),
        disc(radius, 0, base),
        tube(np.stack([x, 0 * angle, z], 1), 0.0055, base),
    )


def block(rng: Rng, ink: Rng) -> Solid:
    """Return a plain block."""
    x, y, z = rng.uniform(0.03, 0.11, 3)
    return plain_box(x, y, z, plain(ink))


def plate(rng: Rng, ink: Rng) -> Solid:
    """Return a thin plain plate with a tab."""
    x, y, t = rng.uniform((0.06, 0.03, 0.003), (0.12, 0.06, 0.009))
    paint = plain(ink)
    tab = plain_box(0.3 * x, 0.35 * y, t, paint, (0.32 * x, 0.6 * y, 0))
    return join(plain_box(x, y, t, paint), tab)


def angle(rng: Rng, ink: Rng) -> Solid:
    """Return a thin bracket of two legs with a boss on one."""
    x, y, t, z = rng.uniform((0.05, 0.025, 0.002, 0.03), (0.1, 0.05, 0.007, 0.06))
    paint, radius = plain(ink), 0.22 * y
    boss = turned([(radius, 2.2 * t), (radius, 0)], paint, (0.22 * x, 0.1 * y, 0))
    wall = plain_box(t, y, z, paint, (t / 2 - x / 2, 0, z / 2 + t / 2))
    return join(plain_box(x, y, t, paint), wall, boss)


def channel(rng: Rng, ink: Rng) -> Solid:
    """Return a thin U-shaped bracket with unequal legs."""
    x, y, t, z = rng.uniform((0.04, 0.025, 0.002, 0.025), (0.09, 0.05, 0.006, 0.06))
    paint, short = plain(ink), z * rng.uniform(0.5, 1.0)
    legs = [
        plain_box(t, y, h, paint, (s * (x - t) / 2, 0, h / 2)) for s, h in ((-1, z), (1, short))
    ]
    return join(plain_box(x, y, t, paint, (0, 0, t / 2)), *legs)


def gusset(rng: Rng, ink: Rng) -> Solid:
    """Return two thin plates at a right angle, stiffened by a stepped rib."""
    x, y, t, z = rng.uniform((0.04, 0.03, 0.003, 0.035), (0.08, 0.06, 0.006, 0.07))
    paint, steps = plain(ink), 8
    rib = [
        plain_box(
            (x - t) * (1 - k / steps), t, (z - t) / steps, paint,
            ((x - t) * (1 - k / steps) / 2 + t - x / 2, 0.2 * y, t + (k + 0.5) * (z - t) / steps),
        )
        for k in range(steps)
    ]  # fmt: skip
    wall = plain_box(t, y, z, paint, (t / 2 - x / 2, 0, z / 2))
    return join(plain_box(x, y, t, paint, (0, 0, t / 2)), wall, *rib)


def ell(rng: Rng, ink: Rng) -> Solid:
    """Return a solid L."""
    a, b, t = rng.uniform((0.05, 0.04, 0.015), (0.1, 0.07, 0.03))
    paint = plain(ink)
    return join(plain_box(a, t, t, paint), plain_box(t, b, t, paint, (a / 2 - t / 2, b / 2, 0)))


def tee(rng: Rng, ink: Rng) -> Solid:
    """Return a pipe tee."""
    radius, length = rng.uniform((0.01, 0.03), (0.02, 0.06))
    paint, at = plain(ink), np.linspace(0, 1, 20)[:, None]
    run = tube((2 * at - 1) * np.array([length, 0, 0]), radius, paint)
    return join(run, tube(at * np.array([0, 0, 0.9 * length]), radius, paint))


def bolt(rng: Rng, ink: Rng) -> Solid:
    """Return a bolt with a round head."""
    radius, length = rng.uniform((0.007, 0.05), (0.012, 0.09))
    paint = plain(ink)
    head = turned([(2 * radius, 0), (2 * radius, -1.4 * radius)], paint)
    return join(turned([(radius, length), (radius, 0)], paint), head)


def flange(rng: Rng, ink: Rng) -> Solid:
    """Return a disc with a hub and a flat on one side."""
    radius, t, z = rng.uniform((0.03, 0.005, 0.02), (0.05, 0.01, 0.04))
    hub, paint = radius * rng.uniform(0.35, 0.6), plain(ink)
    ear = plain_box(0.8 * radius, 0.5 * radius, t, paint, (radius, 0, t / 2))
    return join(turned([(hub, z), (hub, t)], paint), turned([(radius, t), (radius, 0)], paint), ear)


def pulley(rng: Rng, ink: Rng) -> Solid:
    """Return a wheel with a groove and a hub on one side."""
    radius, t = rng.uniform((0.025, 0.012), (0.045, 0.025))
    paint = plain(ink)
    wheel = [(radius, t), (0.75 * radius, 0.6 * t), (0.75 * radius, 0.4 * t), (radius, 0)]
    return join(turned(wheel, paint), turned([(0.35 * radius, 1.7 * t), (0.35 * radius, t)], paint))


def housing(rng: Rng, ink: Rng) -> Solid:
    """Return a block with a boss on top and one on a side."""
    x, y, z = rng.uniform((0.05, 0.04, 0.025), (0.09, 0.06, 0.045))
    paint, radius = plain(ink), 0.3 * y
    boss = turned([(radius, z / 2 + 0.4 * y), (radius, z / 2)], paint, (-0.2 * x, 0, 0))
    return join(plain_box(x, y, z, paint), boss, plain_box(0.3 * x, 0.3 * y, 0.4 * z, paint,
                (0.2 * x, 0.6 * y, -0.2 * z)))  # fmt: skip


MAKERS: dict[str, Callable[[Rng, Rng], Solid]] = {
    maker.__name__: maker
    for maker in (
        carton, can, bottle, mug, block, plate, angle, channel, gusset, ell, tee, bolt, flange,
        pulley, housing,
    )
}  # fmt: skip
PRINTED = ("carton", "can", "bottle", "mug")
