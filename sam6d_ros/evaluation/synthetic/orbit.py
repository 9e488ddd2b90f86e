"""A synthetic recording of one object from all sides, as ``sam6d scan`` takes it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sam6d_ros.evaluation.synthetic import noise, paths, prints
from sam6d_ros.evaluation.synthetic.bop_writer import DEPTH_SCALE, write_images
from sam6d_ros.evaluation.synthetic.depth_camera import DepthCamera
from sam6d_ros.evaluation.synthetic.patches import Solid, ellipsoid, join, lathe
from sam6d_ros.evaluation.synthetic.render import Board, Body, World
from sam6d_ros.evaluation.synthetic.scene import CAMERA, FRAME_PERIOD_NS
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.geometry.raycast import RayScene
from sam6d_ros.geometry.units import MM_PER_M
from sam6d_ros.types import Frame

Array = NDArray[np.float64]

MAT_M = (0.42, 0.30)  # of the print under the object
ELEVATIONS = (float(np.deg2rad(25.0)), float(np.deg2rad(60.0)))
DISTANCES_M = (0.50, 0.62)


@dataclass(frozen=True)
class OrbitPlan:
    """The recording to be made.

    Attributes:
        frames: number of frames.
        camera: intrinsics of the images.
        mat: print under the object, (H, W, 3) uint8 over ``mat_m`` metres; None for bare wood.
        mat_m: (width, height) of the mat.
        turns: how often the camera goes around the object, rising.
        turntable: the camera stands still and the object turns with its mat.
        sensor: blemishes of the camera.
        depth_camera: camera that measures the depth; None for that of ``sensor``.
        supersampling: rays per pixel and axis of the colour image.
        elevations: of the camera, first and last, radians.
        standing: (3, 3) rotation of the object before it is put on the table.
        hand: share of the recording at which a hand reaches for the object, and at which it has
            left again; None for no hand.
    """

    frames: int = 60
    camera: CameraIntrinsics = CAMERA
    mat: NDArray[np.uint8] | None = None
    mat_m: tuple[float, float] = MAT_M
    turns: float = 2.0
    turntable: bool = False
    sensor: noise.Sensor = field(default_factory=noise.Sensor)
    depth_camera: DepthCamera | None = None
    supersampling: int = 1
    elevations: tuple[float, float] = ELEVATIONS
    standing: Array = field(default_factory=lambda: np.eye(3))
    hand: tuple[float, float] | None = None


@dataclass(frozen=True)
class Orbit:
    """A recording and its truth.

    Attributes:
        frames: what the simulated camera gave.
        world_from_cam: (N, 4, 4) camera poses; world: on the table (or turntable) under the
            object, z up, fixed to what the object stands on.
        world_from_obj: (4, 4) pose of the object.
        masks: (N, H, W) bool pixels of the object.
    """

    frames: tuple[Frame, ...]
    world_from_cam: Array
    world_from_obj: Array
    masks: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.frames)

    def frame(self, index: int) -> Frame:
        """Return one frame, as from a recording on the disk."""
        return self.frames[index]


def record(solid: Solid, seed: int, plan: OrbitPlan) -> Orbit:
    """Film an object that stands on a table; unless the plan turns it, its z axis points up."""
    rng = np.random.default_rng(seed)
    on_table = _on_table(solid, plan.standing, rng)
    body = RayScene(solid.vertices, solid.faces, solid.colors)
    light, room = np.array([-0.5, -0.6, 1.5]), _room(rng)
    tint = noise.Tint.drawn(plan.sensor, rng)
    hand = _hand()
    frames, poses, masks = [], [], []
    world = None
    for index, (table_from_cam, angle) in enumerate(_motion(plan, rng)):
        table_from_world = _about_z(angle)
        boards = [*room, *([] if plan.mat is None else [_mat(plan, table_from_world)])]
        bodies = [Body(body, table_from_world @ on_table)]
        if (place := _hand_place(plan, index)) is not None:
            bodies.append(Body(hand, place))
        if world is None or plan.turntable or plan.hand is not None:
            world = World(bodies, boards, light)
        frame, mask = _photograph(world, plan, table_from_cam, tint, index, rng)
        frames.append(frame)
        masks.append(mask)
        poses.append(se3.inverse(table_from_world) @ table_from_cam)
    return Orbit(tuple(frames), np.array(poses), on_table, np.array(masks))


def _on_table(solid: Solid, standing: Array, rng: np.random.Generator) -> Array:
    """Return (4, 4) table_from_obj: turned at random about the vertical, near the middle."""
    turn = Rotation.from_euler("z", rng.uniform(-np.pi, np.pi)).as_matrix() @ standing
    turned = solid.vertices @ turn.T
    low, high = turned.min(0), turned.max(0)
    shift = rng.uniform(-0.01, 0.01, 2) - (low + high)[:2] / 2
    return se3.from_rotation_translation(turn, [*shift, -low[2]])


def _hand() -> RayScene:
    """Build a fist with its arm along z."""
    skin = (214, 168, 140)
    arm = lathe([(0.030, 0.30), (0.026, 0.02)], skin)
    solid = join(ellipsoid((0.042, 0.030, 0.045), skin), arm)
    return RayScene(solid.vertices, solid.faces, solid.colors)


def _hand_place(plan: OrbitPlan, index: int) -> Array | None:
    """Return (4, 4) table_from_hand: it comes from above the edge, reaches the top and leaves."""
    if plan.hand is None:
        return None
    start, end = plan.hand
    share = (index / max(1, plan.frames - 1) - start) / (end - start)
    if not 0 <= share <= 1:
        return None
    reach = 1 - np.sin(np.pi * share)  # 1 far away, 0 at the object
    tilt = Rotation.from_euler("y", 50, degrees=True).as_matrix()
    return se3.from_rotation_translation(tilt, [0.09 + 0.25 * reach, 0.0, 0.09 + 0.2 * reach])


def _motion(plan: OrbitPlan, rng: np.random.Generator) -> list[tuple[Array, float]]:
    """Camera poses in the room, and the angle of what the object stands on."""
    start = rng.uniform(-np.pi, np.pi)
    out = []
    for share in np.linspace(0, 1, plan.frames):
        angle = start + 2 * np.pi * plan.turns * share
        if plan.turntable:  # the camera stands still
            middle = float(np.mean(plan.elevations))
            place, turned = (start, middle, min(DISTANCES_M)), start - angle
        else:
            elevation = float(np.interp(share, [0, 1], plan.elevations))
            distance = float(np.interp(np.sin(5 * np.pi * share), [-1, 1], DISTANCES_M))
            place, turned = (angle, elevation, distance), 0.0
        out.append((paths.look_at(np.array([0, 0, 0.05]), *place, 0.0), turned))
    return out


def _about_z(angle: float) -> Array:
    return se3.from_rotation_translation(Rotation.from_euler("z", angle).as_matrix(), np.zeros(3))


def _mat(plan: OrbitPlan, table_from_world: Array) -> Board:
    (width, height), turn = plan.mat_m, table_from_world[:3, :3]
    corner = np.array([-width / 2, height / 2, 0.0005])
    paint = np.asarray(plan.mat, np.uint8)
    right, down = np.array([width, 0, 0]), np.array([0, -height, 0])
    return Board(turn @ corner, turn @ right, turn @ down, paint)


def _room(rng: np.random.Generator) -> list[Board]:
    """A table top and a floor, large enough for a camera that goes around."""
    table = prints.wood((1000, 1300), int(rng.integers(1000)), (176, 134, 92))
    floor = prints.blank(0.2, 0.2, (112, 108, 104))
    return [
        Board(np.array([-0.6, 0.45, 0]), np.array([1.2, 0, 0]), np.array([0, -0.9, 0]), table),
        Board(np.array([-4, 4, -0.75]), np.array([8.0, 0, 0]), np.array([0, -8.0, 0]), floor),
    ]


def _photograph(
    world: World,
    plan: OrbitPlan,
    world_from_cam: Array,
    tint: noise.Tint,
    index: int,
    rng: np.random.Generator,
) -> tuple[Frame, NDArray[np.bool_]]:
    camera = plan.camera
    ideal = world.view(camera, world_from_cam, lit=False)
    if plan.supersampling == 1:
        soft = world.lit(ideal, world_from_cam).rgb
    else:
        fine = world.view(camera.scaled(plan.supersampling), world_from_cam)
        size = (camera.width, camera.height)
        soft = cv2.resize(fine.rgb, size, interpolation=cv2.INTER_AREA)
    rgb = noise.photograph(soft, plan.sensor, tint, rng)
    if plan.depth_camera is not None:
        depth = plan.depth_camera.measure(ideal, world, camera, world_from_cam, rng)
    else:
        depth = noise.measure_depth(ideal, world, camera, world_from_cam, plan.sensor, rng)
    return Frame(rgb, depth, camera, stamp_ns=index * FRAME_PERIOD_NS), ideal.owner == 0


def write_recording(orbit: Orbit, folder: Path) -> Path:
    """Write the frames as a BOP scene with true poses of the cameras; returns the folder."""
    cameras = {}
    for index, (frame, pose) in enumerate(zip(orbit.frames, orbit.world_from_cam, strict=True)):
        write_images(folder, index, frame)
        cam_from_world = se3.inverse(pose)
        cameras[str(index)] = {
            "cam_K": frame.camera.matrix.ravel().tolist(),
            "depth_scale": DEPTH_SCALE,
            "cam_R_w2c": cam_from_world[:3, :3].ravel().tolist(),
            "cam_t_w2c": (MM_PER_M * cam_from_world[:3, 3]).tolist(),
        }
    (folder / "scene_camera.json").write_text(json.dumps(cameras, indent=1) + "\n")
    return folder
