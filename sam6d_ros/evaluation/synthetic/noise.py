"""Noise of a structured-light camera, applied to an ideal view."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.evaluation.synthetic.render import View, World
from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.geometry.depth_noise import KINECT_AXIAL, QuadraticNoise
from sam6d_ros.geometry.units import MM_PER_M

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Sensor:
    """Blemishes of the camera. ``strength`` 0 gives an ideal camera, 1 a Kinect-like one.

    Attributes:
        strength: scales all noise below.
        axial: standard deviation of the depth (Nguyen et al., 3DIMPVT 2012).
        lateral_px: standard deviation of the place where the depth is measured (ibid.: 0.8).
        disparity_px: the step of the depth is that of this disparity.
        baseline_m: projector left of the camera; what it does not light has no depth.
        max_range_m: no depth beyond.
        registration_px: most that colour is shifted against depth.
        shot_noise: standard deviation of the colour, in levels.
        exposure: most relative change of the brightness, and half of it per channel.
    """

    strength: float = 1.0
    axial: QuadraticNoise = KINECT_AXIAL
    lateral_px: float = 0.6
    disparity_px: float = 0.125
    baseline_m: float = 0.075
    max_range_m: float = 3.5
    registration_px: float = 1.5
    shot_noise: float = 3.0
    exposure: float = 0.12


def measure_depth(
    view: View,
    world: World,
    camera: CameraIntrinsics,
    world_from_cam: Array,
    sensor: Sensor,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """The measured depth (H, W) float32 metres of an ideal view; 0 where there is none."""
    ideal = np.where(view.depth <= sensor.max_range_m, view.depth, 0)
    if sensor.strength <= 0:
        return ideal.astype(np.float32)
    lost = _unlit(view, world, world_from_cam, sensor) | _grazing(view, camera, rng)
    depth = _jitter(np.where(lost, 0, ideal), sensor, rng)
    depth = _quantize(depth + _axial_noise(depth, sensor, rng), camera, sensor)
    return np.where(depth > 0.1, depth, 0).astype(np.float32)


def _unlit(view: View, world: World, world_from_cam: Array, sensor: Sensor) -> NDArray[np.bool_]:
    """Pixels that the projector does not reach: the shadow beside near things."""
    projector = world_from_cam[:3, 3] - sensor.baseline_m * world_from_cam[:3, 0]
    out = world.blocked(view.points_world.reshape(-1, 3), projector).reshape(view.depth.shape)
    return cv2.medianBlur(out.astype(np.uint8), 3).astype(bool)


def _grazing(view: View, camera: CameraIntrinsics, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Pixels lost at random: surfaces seen edge on, dark ones, a few anywhere."""
    v, u = np.mgrid[: camera.height, : camera.width]
    rays = np.stack(
        [(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.shape)], -1
    )
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    steepness = np.abs((rays * view.normals_cam).sum(-1))
    chance = 0.9 * np.clip((0.22 - steepness) / 0.22, 0, 1) + 0.0005
    chance = chance + 0.25 * (view.rgb.mean(-1) < 22)
    patches = cv2.resize(
        rng.random((camera.height // 2 + 1, camera.width // 2 + 1)).astype(np.float32),
        (camera.width, camera.height),
        interpolation=cv2.INTER_NEAREST,
    )
    return patches < chance


def _jitter(depth: Array, sensor: Sensor, rng: np.random.Generator) -> Array:
    """Measure each pixel a little beside it: ragged edges."""
    height, width = depth.shape
    offset = rng.normal(0, sensor.lateral_px * sensor.strength, (2, height, width))
    offset = np.stack([cv2.GaussianBlur(plane, (0, 0), 0.8) * 1.8 for plane in offset])
    rows, cols = np.mgrid[:height, :width]
    at_row = np.clip(np.rint(rows + offset[0]), 0, height - 1).astype(int)
    at_col = np.clip(np.rint(cols + offset[1]), 0, width - 1).astype(int)
    moved = depth[at_row, at_col]
    # only across edges: within a surface the shift would add noise twice
    return np.where(np.abs(moved - depth) > 0.01, moved, depth)


def _axial_noise(depth: Array, sensor: Sensor, rng: np.random.Generator) -> Array:
    sigma = sensor.axial.at(depth)
    white = rng.normal(size=depth.shape)
    smooth = cv2.GaussianBlur(white, (0, 0), 1.2)
    smooth /= smooth.std()
    return sensor.strength * sigma * (0.5 * white + 0.85 * smooth) * (depth > 0)


def _quantize(depth: Array, camera: CameraIntrinsics, sensor: Sensor) -> Array:
    """Round in disparity, then to millimetres as the drivers give them."""
    if sensor.disparity_px <= 0:
        return depth
    focal_baseline = camera.fx * sensor.baseline_m
    disparity = focal_baseline / np.maximum(depth, 1e-3) / sensor.disparity_px
    rounded = focal_baseline / np.maximum(np.rint(disparity) * sensor.disparity_px, 1e-6)
    return np.where(depth > 0.1, np.rint(rounded * MM_PER_M) / MM_PER_M, 0)


@dataclass(frozen=True)
class Tint:
    """Colour errors of one camera, the same in all its images.

    Attributes:
        shift_px: (2,) by which colour is shifted against depth.
        gain: (3,) factors of the channels.
    """

    shift_px: Array
    gain: Array

    @classmethod
    def drawn(cls, sensor: Sensor, rng: np.random.Generator) -> Tint:
        """One camera of this kind."""
        if sensor.strength <= 0:
            return cls(np.zeros(2), np.ones(3))
        size = sensor.strength * sensor.registration_px
        change = sensor.strength * sensor.exposure
        shift = rng.uniform(-size, size, 2)
        gain = (1 + rng.uniform(-change, change)) * (1 + rng.uniform(-change, change, 3) / 2)
        return cls(shift, gain)


def photograph(
    rgb: NDArray[np.float32], sensor: Sensor, tint: Tint, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """The colour image (H, W, 3) of an ideal one: shifted, exposed, soft, noisy."""
    image = np.asarray(rgb, np.float32)
    if sensor.strength > 0:
        matrix = np.column_stack([np.eye(2), tint.shift_px])
        image = cv2.warpAffine(image, matrix, image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
        image = cv2.GaussianBlur(image * tint.gain.astype(np.float32), (0, 0), 0.6)
        sigma = sensor.strength * sensor.shot_noise * np.sqrt(0.4 + np.clip(image, 0, 255) / 200)
        image = image + sigma * rng.normal(size=image.shape)
    return np.clip(image + 0.5, 0, 255).astype(np.uint8)
