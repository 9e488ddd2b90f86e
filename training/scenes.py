"""Training scenes: tables, heaps, bins of equal parts, and the names to ask for."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidInput
from sam6d_ros.evaluation.synthetic.patches import Solid, box
from sam6d_ros.evaluation.synthetic.render import Body, World
from sam6d_ros.evaluation.synthetic.scene import CAMERA, room
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.geometry.raycast import RayScene
from sam6d_ros.types import Frame
from training import objects
from training.piles import Ground, drop
from training.sensor import photograph

Array = NDArray[np.float64]
Rng = np.random.Generator
KINDS = ("table", "heap", "bin")
# 40 : 25 : 35, mixed so that any first part of a run has about these shares
ORDER = (
    "table bin heap table bin table heap bin table bin table heap table bin heap table bin table "
)
PATTERN = tuple((ORDER + "heap bin").split())
SPLITS = tuple(objects.GROUPS)
CLUTTER_GROUP = 90  # of objects that lie about and are never asked for
MIN_SHOWN_PX = 60
HEAP_OBJECTS, HEAP_KINDS = 10, 3
TABLE_OBJECTS = (3, 4)
ABSENT_FROM_BIN = 2
FOCAL_PX = (500.0, 1080.0)  # 640 × 480: from an Xtion's colour to a cropped Full HD image
PRINCIPAL_PX = 8.0  # largest offset of the principal point
BIN_FILLS = (0.65, 0.95)  # share of the image's width
BIN_GREY, BIN_WALL_M, BIN_DEPTH_M = (96, 104, 118), 0.006, 0.09


@dataclass(frozen=True)
class Truth:
    """One true instance.

    Attributes:
        name: of the object.
        cam_from_obj: (4, 4) metres.
        visibility: share of its silhouette that is seen, [0, 1].
    """

    name: str
    cam_from_obj: Array
    visibility: float


@dataclass(frozen=True)
class TrainingScene:
    """A frame with its truth and the names to ask for.

    Attributes:
        domain: "table", "heap", "bin", or the name of a data set.
        asked: names of all objects to search, present and absent.
    """

    domain: str
    frame: Frame
    truth: tuple[Truth, ...]
    asked: tuple[str, ...]


@dataclass
class _Plan:
    """Objects of a scene before they are placed."""

    wanted: list[str]
    half: Array
    top_m: float
    upright: float = 0.0  # share of the objects
    clutter: list[str] = field(default_factory=list)
    walls: list[Solid] = field(default_factory=list)


def make_scene(kind: str, split: str, seed: int) -> TrainingScene:
    """Make one scene; the same arguments give the same pixels.

    Returns:
        The scene with its true poses.

    Raises:
        InvalidInput: the kind or the split is unknown.
    """
    if kind not in KINDS or split not in SPLITS:
        raise InvalidInput(f"scene {kind!r} of {split!r}; expected of {KINDS} and of {SPLITS}")
    rng = np.random.default_rng([seed, KINDS.index(kind), SPLITS.index(split)])
    pool = objects.names(int(rng.choice(list(objects.GROUPS[split]))))
    plan = {"table": _table, "heap": _heap, "bin": _bin}[kind](pool, rng)
    bodies, who = _placed(plan, rng)
    camera = _camera(rng)
    world_from_cam = _view(kind, plan.half, camera.fx, rng)
    light = np.append(rng.uniform(-0.9, 0.9, 2), rng.uniform(0.9, 1.7))
    world = World(bodies, room(rng), light)
    ideal = world.view(camera, world_from_cam, lit=False)
    cam_from_world, truth = se3.inverse(world_from_cam), []
    for index, name in enumerate(who):
        visibility, mask = world.visibility(index, ideal, camera, world_from_cam)
        if name and mask.sum() > MIN_SHOWN_PX:
            pose = cam_from_world @ bodies[index].world_from_obj
            truth.append(Truth(name, pose, visibility))
    frame = photograph(world, ideal, camera, world_from_cam, rng)
    return TrainingScene(kind, frame, tuple(truth), _asked(plan.wanted, pool, rng))


def _asked(present: list[str], pool: list[str], rng: Rng) -> tuple[str, ...]:
    """Return the present objects and as many absent ones or more, half of these look-alikes."""
    there = sorted(set(present))
    alike = {objects.look_alike(str(name), rng) for name in rng.permutation(there)[::2]}
    others = [name for name in rng.permutation(pool) if name not in there]
    count = max(len(there), ABSENT_FROM_BIN) - len(alike)
    absent = {*alike, *(str(name) for name in others[:count])}
    return tuple(sorted({*there, *absent}))


def _table(pool: list[str], rng: Rng) -> _Plan:
    count = rng.integers(*TABLE_OBJECTS, endpoint=True)
    chosen = [str(name) for name in rng.permutation(pool)[:count]]
    return _Plan(chosen, np.array([0.27, 0.2]), 0.25, 0.85, _clutter(rng))


def _heap(pool: list[str], rng: Rng) -> _Plan:
    kinds = rng.permutation(pool)[:HEAP_KINDS]
    chosen = [str(name) for name in rng.choice(kinds, HEAP_OBJECTS)]
    return _Plan(chosen, np.array([0.2, 0.15]), 0.2, 0.0, _clutter(rng))


def _bin(pool: list[str], rng: Rng) -> _Plan:
    plain = [name for name in pool if objects.parse(name).kind not in ("bottle", "mug")]
    name = str(rng.choice(plain))
    extent = np.sort(np.ptp(objects.solid(name).vertices, axis=0))[::-1]
    half = np.clip(np.array([1.7, 1.25]) * extent[0] * rng.uniform(0.9, 1.15), 0.08, 0.30)
    walls = _walls(half)
    return _Plan([name] * int(rng.integers(12, 21)), half, max(0.16, 1.1 * extent[0]), walls=walls)


def _clutter(rng: Rng) -> list[str]:
    """Return a few objects that are not asked for."""
    return [str(name) for name in rng.permutation(objects.names(CLUTTER_GROUP))[:4]]


def _walls(half: Array) -> list[Solid]:
    x, y, t, h = half[0], half[1], BIN_WALL_M, BIN_DEPTH_M
    paint = [BIN_GREY] * 6
    long = [box((2 * (x + t), t, h), paint).moved((0, s * (y + t / 2), h / 2)) for s in (-1, 1)]
    return long + [box((t, 2 * y, h), paint).moved((s * (x + t / 2), 0, h / 2)) for s in (-1, 1)]


def _placed(plan: _Plan, rng: Rng) -> tuple[list[Body], list[str]]:
    """Return the bodies and the name of each; empty of what is not asked for."""
    ground, bodies, who = Ground.empty(plan.half), [], []
    for name in [*plan.wanted, *plan.clutter]:
        upright = bool(rng.random() < plan.upright)
        pose = drop(ground, objects.solid(name).vertices, rng, upright, plan.top_m)
        if pose is not None:
            bodies.append(Body(objects.ray_scene(name), pose))
            who.append(name if name in plan.wanted else "")
    for wall in plan.walls:
        bodies.append(Body(RayScene(wall.vertices, wall.faces, wall.colors), np.eye(4)))
        who.append("")
    return bodies, who


def _camera(rng: Rng) -> CameraIntrinsics:
    """Draw a camera: short focal lengths are as frequent as long ones."""
    focal = float(np.exp(rng.uniform(*np.log(FOCAL_PX))))
    off_x, off_y = rng.uniform(-PRINCIPAL_PX, PRINCIPAL_PX, 2)
    width, height = CAMERA.width, CAMERA.height
    cx, cy = CAMERA.cx + off_x, CAMERA.cy + off_y
    return CameraIntrinsics(fx=focal, fy=focal, cx=cx, cy=cy, width=width, height=height)


def _view(kind: str, half: Array, focal_px: float, rng: Rng) -> Array:
    """Return a (4, 4) world_from_cam that looks at the middle."""
    if kind == "bin":
        range_m = np.clip(half.max() * focal_px / (rng.uniform(*BIN_FILLS) * CAMERA.cx), 0.45, 1.2)
        tilt, azimuth = rng.uniform((0.95, 0.0), (1.5, 2 * np.pi))
    else:
        range_m, tilt, azimuth = rng.uniform((0.55, 0.6, -2.2), (1.0, 1.25, -0.9))
        range_m *= np.clip(focal_px / CAMERA.fx, 1.0, 1.5)
    flat = np.array([np.cos(azimuth), np.sin(azimuth)])
    towards = np.append(np.cos(tilt) * flat, np.sin(tilt))
    right = np.cross(-towards, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(-towards, right), -towards], axis=1)
    return se3.from_rotation_translation(rotation, range_m * towards + [0, 0, 0.03])
