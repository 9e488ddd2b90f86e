"""Depth camera that matches a pattern: active stereo or structured light.

Matching window, flying pixels, correlated noise, quantised disparity and lost pixels follow the
sensor model with which the path-traced test scenes of this project were made.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.evaluation.synthetic.render import View, World
from sam6d_ros.geometry.camera import CameraIntrinsics, ray_directions

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

EDGE_M = 0.015
FLYING_SHARE = 0.2  # of the pixels at edges
RANGE_M = (0.2, 6.0)
DARK = 0.055  # albedo below which the light that returns is too weak
GREY = np.array([0.2126, 0.7152, 0.0722])
GAMMA = 2.2


@dataclass(frozen=True)
class DepthCamera:
    """One kind of camera.

    Attributes:
        baseline_m: emitter or second eye to the depth camera, to the right of it.
        noise_px: standard deviation of the disparity.
        step_px: quantisation of the disparity.
        noise_m: standard deviation that does not depend on the distance.
        window_px: half the matching window, which fattens edges.
    """

    baseline_m: float
    noise_px: float
    step_px: float
    noise_m: float
    window_px: int

    def measure(
        self,
        view: View,
        world: World,
        camera: CameraIntrinsics,
        world_from_cam: Array,
        rng: np.random.Generator,
    ) -> Floats:
        """Return the measured depth (H, W), metres, 0 = none, of an ideal view without light."""
        edges, depth = self._at_edges(view.depth, rng)
        facing = _facing(view, camera)
        noisy = self._noisy(depth, facing, camera, rng)
        emitter = world_from_cam[:3, 3] + self.baseline_m * world_from_cam[:3, 0]
        dark = world.blocked(view.points_world.reshape(-1, 3), emitter).reshape(depth.shape)
        lost = self._lost(view, facing, edges, dark, rng) | (noisy < RANGE_M[0])
        lost |= (view.depth <= 0) | (noisy > RANGE_M[1])
        out = np.where(lost, 0, noisy).astype(np.float32)
        return np.asarray(cv2.medianBlur(out, 3), np.float32)

    def _at_edges(self, ideal: Floats, rng: np.random.Generator) -> tuple[Flags, Floats]:
        """Fatten edges irregularly by the window; then mix the two surfaces of some pixels."""
        seen = np.where(ideal > 0, ideal, 100).astype(np.float32)
        size = 2 * self.window_px + 1
        window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
        near = cv2.erode(seen, window)
        fat = _blotches(rng, seen.shape, 2.0) > 0.2
        out = np.where(fat & (seen - near > 0.012), near, seen)
        kernel = np.ones((3, 3))
        edges = (cv2.dilate(out, kernel) - cv2.erode(out, kernel)) > EDGE_M
        mixed = cv2.blur(np.minimum(out, 6), (3, 3))
        flying = edges & (rng.uniform(size=seen.shape) < FLYING_SHARE) & (mixed < 3)
        return edges, np.where(flying, mixed, out)

    def _noisy(
        self, depth: Floats, facing: Array, camera: CameraIntrinsics, rng: np.random.Generator
    ) -> Array:
        """Add noise, correlated over the window and larger on grazing surfaces."""
        growth = 1 + 0.6 * (1 / np.maximum(facing, 0.25) - 1)
        wobble = _blotches(rng, depth.shape, 1.6)
        drift = _blotches(rng, depth.shape, 60) * 0.0012 * depth  # residue of the calibration
        product = camera.fx * self.baseline_m
        disparity = product / np.maximum(depth, 0.05) + self.noise_px * growth * wobble
        disparity = np.round(disparity / self.step_px) * self.step_px
        white = self.noise_m * rng.normal(size=depth.shape)
        return product / np.maximum(disparity, 1e-3) + drift + white

    def _lost(
        self, view: View, facing: Array, edges: Flags, shadow: Flags, rng: np.random.Generator
    ) -> Flags:
        """Return pixels without a return: grazing, dark, at edges, in the emitter's shadow."""
        shape = view.depth.shape
        spots, fine = _blotches(rng, shape, 4), _blotches(rng, shape, 1.3)
        albedo = (np.clip(view.rgb / 255, 0, 1) ** GAMMA) @ GREY
        lost = shadow & (fine > -1.2)
        lost |= facing < 0.13 + 0.07 * spots
        lost |= (albedo < DARK) & (spots + 0.6 * fine > 1.5)
        lost |= edges & (fine > 1.1)
        return lost | (spots + fine > 4.2)


def _facing(view: View, camera: CameraIntrinsics) -> Array:
    """Return (H, W) cosine between surface normal and ray."""
    v, u = np.mgrid[: camera.height, : camera.width]
    rays = ray_directions(camera, u.ravel(), v.ravel()).reshape(*u.shape, 3)
    rays = rays / np.linalg.norm(rays, axis=2, keepdims=True)
    return np.abs((rays * view.normals_cam).sum(2))


def _blotches(rng: np.random.Generator, shape: tuple[int, ...], size_px: float) -> Floats:
    """Return a random field of variance 1 with features of about ``size_px``."""
    field = cv2.GaussianBlur(rng.normal(size=shape).astype(np.float32), (0, 0), size_px)
    return np.asarray(field / field.std(), np.float32)


STEREO = DepthCamera(0.050, 0.07, 1 / 32, 0.0002, 2)  # D435-like
