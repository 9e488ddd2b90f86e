"""A synthetic table-top scene with known poses, as one frame or as a camera path."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.mesh import Mesh
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.onboard import onboard_mesh
from sam6d_ros.errors import InvalidInput
from sam6d_ros.evaluation.synthetic import noise, paths
from sam6d_ros.evaluation.synthetic.objects import CLUTTER, TARGETS, Item
from sam6d_ros.evaluation.synthetic.patches import Solid
from sam6d_ros.evaluation.synthetic.placement import Area, place
from sam6d_ros.evaluation.synthetic.render import Body, World
from sam6d_ros.evaluation.synthetic.room import room
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.geometry.raycast import RayScene
from sam6d_ros.types import Frame

Array = NDArray[np.float64]

CAMERA = CameraIntrinsics(fx=572.0, fy=572.0, cx=319.5, cy=239.5, width=640, height=480)
FRAME_PERIOD_NS = 33_333_333
MIN_VISIBLE = 0.35  # a target seen less gets another arrangement
_ARRANGEMENTS = 12
_SUPERSAMPLING = 2


@dataclass(frozen=True)
class Instance:
    """A target in a frame.

    Attributes:
        obj_id: its number, from 1 in the order of the scene's objects.
        class_id: the object's name.
        cam_from_obj: (4, 4) true pose, metres.
        visibility: share of its picture that nothing hides, [0, 1].
        mask: (H, W) bool, its visible pixels.
    """

    obj_id: int
    class_id: str
    cam_from_obj: Array
    visibility: float
    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class SyntheticView:
    """One frame of the scene and its truth.

    Attributes:
        frame: what the simulated camera gives.
        ground_truth: the targets in view.
        world_from_cam: (4, 4) pose of the camera; z up, the table top at z = 0.
    """

    frame: Frame
    ground_truth: tuple[Instance, ...]
    world_from_cam: Array


@dataclass(frozen=True)
class SyntheticScene:
    """A scene, seen once or along a camera path.

    Attributes:
        objects: the targets' models.
        views: one or more frames.
        meshes: the targets' meshes as they were made, metres.
    """

    objects: list[ObjectModel]
    views: tuple[SyntheticView, ...]
    meshes: tuple[Solid, ...]

    @property
    def frame(self) -> Frame:
        """The first frame."""
        return self.views[0].frame

    @property
    def ground_truth(self) -> tuple[Instance, ...]:
        """The truth of the first frame."""
        return self.views[0].ground_truth


def make_scene(  # noqa: PLR0913  (keywords with defaults)
    seed: int,
    *,
    camera: CameraIntrinsics = CAMERA,
    targets: Sequence[str] | None = None,
    parts: Sequence[Item] = (),
    clutter: int = 3,
    frames: int = 1,
    path: str = "arc",
    occluded: bool = False,
    lifted: str = "",
    sensor: noise.Sensor | None = None,
    cache_dir: Path | None = None,
) -> SyntheticScene:
    """Arrange things on a table and photograph them; the same seed gives the same pixels.

    Args:
        seed: decides the arrangement, the view and the noise.
        camera: intrinsics of the images.
        targets: names of the objects to look for (see ``objects.TARGETS``); all by default,
            none beside ``parts``.
        parts: further objects to look for.
        clutter: how many other things stand about.
        frames: with more than one, the camera moves, at 30 Hz.
        path: "arc", around the table by 1.5° per frame, or "hand_held", with stops and tremor.
        occluded: whether a board passes before the camera in the middle of the sequence.
        lifted: name of the target that is lifted, turned and put back; empty for none.
        sensor: blemishes of the camera; Kinect-like by default.
        cache_dir: folder of the cache for the onboarded objects, or None.

    Returns:
        The scene: frames, models and true poses.

    Raises:
        InvalidInput: a name is unknown, or ``frames`` is not positive.
    """
    items = [*_chosen([] if parts and targets is None else targets), *parts]
    names = [item.name for item in items]
    if frames < 1:
        raise InvalidInput(f"frames is {frames}; expected at least 1")
    if path not in paths.PATHS:
        raise InvalidInput(f"path is {path!r}; expected one of {paths.PATHS}")
    if lifted and lifted not in names:
        raise InvalidInput(f"lifted is {lifted!r}; expected one of {names}")
    sensor = sensor or noise.Sensor()
    rng = np.random.default_rng(seed)
    things = [*items, *(CLUTTER[i] for i in rng.permutation(len(CLUTTER))[:clutter])]
    draft = partial(paths.camera_path, path, frames)
    world, poses = _arrange(things, len(items), camera, draft, rng)
    lifted_index = names.index(lifted) if lifted else None
    tint = noise.Tint.drawn(sensor, rng)
    views = []
    for index, world_from_cam in enumerate(poses):
        share = index / max(1, frames - 1)
        now = _changed(world, share, world_from_cam if occluded else None, lifted_index)
        views.append(photographed(now, items, camera, world_from_cam, sensor, tint, index, rng))
    solids = [solid_of(item) for item in items]
    models = [
        onboard_mesh(
            Mesh(solid.vertices, solid.faces, solid.colors), item.name, cache_dir=cache_dir
        )
        for item, solid in zip(items, solids, strict=True)
    ]
    return SyntheticScene(models, tuple(views), tuple(solids))


def _chosen(names: Sequence[str] | None) -> list[Item]:
    known = {item.name: item for item in TARGETS}
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise InvalidInput(f"unknown targets {unknown}; expected some of {list(known)}")
    return list(TARGETS) if names is None else [known[name] for name in names]


@lru_cache(maxsize=32)
def solid_of(item: Item) -> Solid:
    """Build a thing, once.

    Args:
        item: the thing.

    Returns:
        Its surface.
    """
    return item.make()


@lru_cache(maxsize=32)
def ray_scene_of(item: Item) -> RayScene:
    """Prepare a thing for rays, once.

    Args:
        item: the thing.

    Returns:
        Its ray scene.
    """
    solid = solid_of(item)
    return RayScene(solid.vertices, solid.faces, solid.colors)


def _arrange(
    things: Sequence[Item],
    targets: int,
    camera: CameraIntrinsics,
    draft_path: Callable[[np.random.Generator], list[Array]],
    rng: np.random.Generator,
) -> tuple[World, list[Array]]:
    """An arrangement in which all targets are seen well from the first camera; else the best."""
    small = camera.scaled(0.25)
    best: tuple[float, World, list[Array]] | None = None
    for _ in range(_ARRANGEMENTS):
        poses = place(
            [solid_of(item).vertices for item in things], [item.ups for item in things], Area(), rng
        )
        bodies = [
            Body(ray_scene_of(item), pose)
            for item, pose in zip(things, poses, strict=True)
            if pose is not None
        ]
        light = np.array([rng.uniform(-0.9, 0.2), rng.uniform(-0.9, -0.1), rng.uniform(1.2, 1.7)])
        world, path = World(bodies, room(rng), light), draft_path(rng)
        if any(pose is None for pose in poses[:targets]):
            continue
        ideal = world.view(small, path[0], lit=False)
        worst = min(world.visibility(i, ideal, small, path[0])[0] for i in range(targets))
        if best is None or worst > best[0]:
            best = (worst, world, path)
        if worst >= MIN_VISIBLE:
            break
    if best is None:
        raise InvalidInput(f"{targets} targets find no room on the table; ask for fewer")
    return best[1], best[2]


def _changed(
    world: World, share: float, occluder_before: Array | None, lifted: int | None
) -> World:
    """Move what moves, at ``share`` [0, 1] of the sequence.

    Args:
        world: the world at the start.
        share: of the sequence.
        occluder_before: (4, 4) pose of the camera before which the board passes.
        lifted: index of the body that is lifted.

    Returns:
        The world.
    """
    if occluder_before is None and lifted is None:
        return world
    bodies = list(world.bodies)
    if lifted is not None:
        body = bodies[lifted]
        bodies[lifted] = replace(body, world_from_obj=paths.lifted(body.world_from_obj, share))
    if occluder_before is not None:
        board = paths.occluder()
        scene = RayScene(board.vertices, board.faces, board.colors)
        bodies.append(Body(scene, paths.occluder_pose(share, occluder_before)))
    return World(bodies, world.boards, world.light)


def photographed(
    world: World,
    items: Sequence[Item],
    camera: CameraIntrinsics,
    world_from_cam: Array,
    sensor: noise.Sensor,
    tint: noise.Tint,
    index: int,
    rng: np.random.Generator,
) -> SyntheticView:
    """Photograph a world.

    Args:
        world: its first bodies are the targets.
        items: the targets.
        camera: intrinsics of the images.
        world_from_cam: (4, 4) pose of the camera.
        sensor: blemishes of the camera.
        tint: cast of the colours.
        index: of the frame, for its stamp.
        rng: decides the noise.

    Returns:
        The frame and its truth.
    """
    ideal = world.view(camera, world_from_cam, lit=False)
    fine = world.view(camera.scaled(_SUPERSAMPLING), world_from_cam)
    size = (camera.width, camera.height)
    soft = cv2.resize(fine.rgb, size, interpolation=cv2.INTER_AREA)
    rgb = noise.photograph(soft, sensor, tint, rng)
    depth = noise.measure_depth(ideal, world, camera, world_from_cam, sensor, rng)
    cam_from_world = se3.inverse(world_from_cam)
    truth = []
    for body, item in enumerate(items):
        visibility, mask = world.visibility(body, ideal, camera, world_from_cam)
        pose = cam_from_world @ world.bodies[body].world_from_obj
        if mask.any():
            truth.append(Instance(body + 1, item.name, pose, visibility, mask))
    frame = Frame(rgb, depth, camera, stamp_ns=index * FRAME_PERIOD_NS)
    return SyntheticView(frame, tuple(truth), world_from_cam)
