"""Motions of the camera and of the objects. World: z up, the table top at z = 0; metres."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sam6d_ros.evaluation.synthetic.patches import Solid, box
from sam6d_ros.geometry import se3

Array = NDArray[np.float64]

PATHS = ("arc", "hand_held")
FRAME_RATE_HZ = 30.0
ARC_STEP = np.deg2rad(1.5)
# A hand-held camera: half-swings of (azimuth, elevation, roll) and of the distance, at these
# frequencies, and a tremor; with them it reaches 0.8 m/s and 54°/s.
SWING_RAD, SWING_HZ = (0.40, 0.14, 0.16), (0.22, 0.31, 0.27)
DISTANCE_M, DISTANCE_HZ = 0.10, 0.17
WANDER_M, WANDER_HZ = 0.03, 0.37  # of the point it looks at
TREMOR_M, TREMOR_RAD, TREMOR_HZ = 0.0008, np.deg2rad(0.12), 5.0
STOP_PERIOD_S = 2.5  # the camera comes to rest so often
OCCLUDER_SIZE = (0.14, 0.2, 0.012)
OCCLUDER_Z = 0.42  # metres before the camera
OCCLUDER_PASS = (0.25, 0.75)  # of the sequence
LIFT_M, LIFT_TURN = 0.07, np.deg2rad(70)


def camera_path(kind: str, frames: int, rng: np.random.Generator) -> list[Array]:
    """Build the path of a camera: an arc around the table by equal steps, or as held by hand.

    Both look at the middle of the table and start at the same pose for the same generator.

    Returns:
        (4, 4) world_from_cam of each frame.
    """
    azimuth, elevation = rng.uniform(-0.35, 0.35), rng.uniform(0.6, 0.85)
    distance, roll = rng.uniform(0.72, 0.84), rng.uniform(-0.05, 0.05)
    target = np.array([*rng.uniform(-0.02, 0.02, 2), 0.04])
    if kind == "arc":
        turns = azimuth + ARC_STEP * np.arange(frames)
        return [look_at(target, turn, elevation, distance, roll) for turn in turns]
    return _hand_held(target, np.array([azimuth, elevation, roll]), distance, frames)


def _hand_held(target: Array, angles: Array, distance: float, frames: int) -> list[Array]:
    poses = []
    for time in np.arange(frames) / FRAME_RATE_HZ:
        path = _with_stops(time)
        turn = angles + SWING_RAD * np.sin(2 * np.pi * np.array(SWING_HZ) * path)
        away = distance + DISTANCE_M * np.sin(2 * np.pi * DISTANCE_HZ * path)
        wander = WANDER_M * np.sin(2 * np.pi * WANDER_HZ * path * np.array([1, 0.7, 0]))
        pose = look_at(target + wander, turn[0], turn[1], away, turn[2])
        phase = 2 * np.pi * TREMOR_HZ * time * np.array([1, 1.31, 0.83])
        shake = se3.exp([*(TREMOR_M * np.sin(phase)), *(TREMOR_RAD * np.sin(phase + 1))])
        poses.append(pose @ shake)
    return poses


def _with_stops(time: float) -> float:
    """Seconds of moving after so many seconds: the speed falls to zero every STOP_PERIOD_S."""
    rate = 2 * np.pi / STOP_PERIOD_S
    return float(time - np.sin(rate * time) / rate)


def look_at(target: Array, azimuth: float, elevation: float, distance: float, roll: float) -> Array:
    """Return the (4, 4) pose of a camera that looks at a point; azimuth 0 looks along +y."""
    away = np.array(
        [
            np.sin(azimuth) * np.cos(elevation),
            -np.cos(azimuth) * np.cos(elevation),
            np.sin(elevation),
        ]
    )
    right = np.cross([0, 0, 1.0], away)
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(-away, right), -away], axis=1)  # x right, y down, z forward
    c, s = np.cos(roll), np.sin(roll)
    rotation = axes @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return se3.from_rotation_translation(rotation, target + distance * away)


def occluder() -> Solid:
    """A plain board."""
    return box(OCCLUDER_SIZE, [(96, 118, 92)] * 6)


def occluder_pose(share: float, world_from_cam: Array) -> Array:
    """World pose of the board that passes before the camera, ``share`` [0, 1] of the sequence."""
    start, end = OCCLUDER_PASS
    across = 1.1 * ((share - start) / (end - start) - 0.5)
    tilt = Rotation.from_euler("xz", [12, 8], degrees=True).as_matrix()
    beside = OCCLUDER_Z * np.array([across, 0.05, 1.0])
    return world_from_cam @ se3.from_rotation_translation(tilt, beside)


def lifted(world_from_obj: Array, share: float) -> Array:
    """World pose of a thing that is lifted, turned and put back during the middle half."""
    inner = np.clip((share - 0.25) / 0.5, 0, 1)
    up = LIFT_M * np.sin(np.pi * inner) ** 2
    turn = LIFT_TURN * inner * inner * (3 - 2 * inner)
    turned = Rotation.from_euler("z", turn).as_matrix() @ world_from_obj[:3, :3]
    return se3.from_rotation_translation(turned, world_from_obj[:3, 3] + [0, 0, up])
