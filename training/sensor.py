"""Cameras of the training scenes: depth and colour of a world, with an error of registration."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.evaluation.synthetic.render import View, World
from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.types import Frame
from training import color_camera, depth_camera
from training.color_camera import ColorCamera
from training.depth_camera import DepthCamera, Surfaces
from training.registration import Registration

Rng = np.random.Generator
METAL_SHARE = 0.4  # of the grey bodies
GREY_LEVELS = 18  # largest difference of the channels of a grey body
DEPTH_STEP_M = 0.001  # of the images that drivers publish


def photograph(
    world: World, ideal: View, camera: CameraIntrinsics, world_from_cam: NDArray, rng: Rng
) -> Frame:
    """Return the images that drawn cameras take of a world, seen without light as ``ideal``."""
    width, height = camera.width, camera.height
    sensor = DepthCamera.drawn(camera.fx, rng)
    error = Registration.drawn(float(np.hypot(width, height)), rng)
    share = rng.uniform(0, 1)  # true poses lie anywhere between depth and colour
    depth = depth_camera.measure(
        surfaces(world, ideal, camera, world_from_cam, sensor.baseline_m, rng),
        sensor, camera.fx, rng,
    )  # fmt: skip
    depth = error.part(share).of_depth(depth, width, height)
    lit = error.part(share - 1).of_color(world.view(camera, world_from_cam).rgb)
    rgb = color_camera.photograph(lit, ColorCamera.drawn(rng), rng)
    return Frame(rgb, (np.rint(depth / DEPTH_STEP_M) * DEPTH_STEP_M).astype(np.float32), camera)


def surfaces(
    world: World,
    ideal: View,
    camera: CameraIntrinsics,
    world_from_cam: NDArray,
    baseline_m: float,
    rng: Rng,
) -> Surfaces:
    """Return the surfaces of a view; some grey bodies are metal."""
    second_eye = world_from_cam[:3, 3] + baseline_m * world_from_cam[:3, 0]
    points = ideal.points_world.reshape(-1, 3)
    lit = ~world.blocked(points, second_eye).reshape(ideal.depth.shape)
    metal = np.zeros(len(world.bodies) + 2, np.float32)  # boards and nothing are the last two
    for index, body in enumerate(world.bodies):
        red_green_blue = body.scene.colors.mean(0)
        if np.ptp(red_green_blue) < GREY_LEVELS and rng.random() < METAL_SHARE:
            metal[index] = rng.uniform(0.3, 1.0)
    albedo = ((ideal.rgb / 255) ** 2.2).mean(-1).astype(np.float32)
    return Surfaces(
        ideal.depth,
        depth_camera.facing(camera, ideal.normals_cam),
        albedo,
        metal[ideal.owner],
        lit,
    )
