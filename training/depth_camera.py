"""Depth cameras of the training scenes: structured light, active stereo, time of flight.

An ideal view becomes a depth image in the pixels of the colour camera. The depth is measured on a
grid of its own, coarser than the colour, and is then registered with an error. Figures:

* Nguyen, Izadi, Lovell, 3DIMPVT 2012 (Kinect): axial sigma 1.2 mm + 1.9 mm (z - 0.4)², z in metres;
  lateral sigma 0.8 px; both grow beyond 60 degrees of slant.
* Khoshelham and Elberink, Sensors 2012 (Kinect): error of z grows with z² as one of disparity does;
  disparity in steps of 1/8 px.
* Keselman et al., CVPRW 2017 (RealSense): subpixel noise of 0.05 to 0.1 px of matching; windows of
  7 × 7 px fatten edges by half a window.
* Microsoft, Azure Kinect DK hardware specification: systematic error below 11 mm + 0.1 % of the
  range, standard deviation at most 17 mm; flying pixels and no return from dark surfaces.
* Herrera, Kannala, Heikkila, TPAMI 2012: residual distortion of a Kinect's depth of some
  millimetres that varies slowly over the image; registration errors of 1 to 3 px by the factory
  calibration.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.geometry.camera import CameraIntrinsics, ray_directions

Rng = np.random.Generator
Image = NDArray[np.float32]
KINDS = ("structured", "stereo", "flight")
STEP_M, SMALL_STEP_M = 0.012, 0.006  # of a border between two surfaces
NEAR_M, FAR_M, NOTHING_M = 0.2, 6.0, 100.0
WINDOW_PX = {"structured": (1, 3), "stereo": (2, 4), "flight": (0, 2)}  # half a matching window
COARSE_SHARE = 0.25  # of the cameras: 320 × 240 to 420 × 320 pixels of 58 degrees
SEVERITY = (0.1, 1.0)  # of the systematic errors of one camera: well and badly calibrated ones
FLYING = {"structured": 0.2, "stereo": 0.35, "flight": 0.6}  # share of the pixels of a border


@dataclass(frozen=True)
class DepthCamera:
    """One depth camera.

    Attributes:
        kind: one of KINDS.
        density: its pixels per pixel of the colour camera, along a side.
        baseline_m: between projector or second eye and the camera; signed, along x.
        noise_px: standard deviation of the disparity.
        step_px: step of the disparity, 0 for none.
        noise_m: standard deviation that does not grow with the range by disparity.
        window_px: half the matching window, which fattens borders.
        scale: factor of all depths.
        offset_m: added to all depths.
        ripple: standard deviation of a slow error, relative to the range.
        ripple_px: extent of the slow error.
        lateral_px: standard deviation of the place that is measured, across borders.
        loss: factor of the losses.
        smoothed: whether the driver smooths within surfaces.
    """

    kind: str
    density: float
    baseline_m: float
    noise_px: float
    step_px: float
    noise_m: float
    window_px: int
    scale: float
    offset_m: float
    ripple: float
    ripple_px: float
    lateral_px: float
    loss: float
    smoothed: bool

    @classmethod
    def drawn(cls, focal_px: float, rng: Rng) -> DepthCamera:
        """Draw a camera for a colour camera of a focal length."""
        kind = str(rng.choice(KINDS))
        coarse = rng.random() < COARSE_SHARE
        own_focal = rng.uniform(280, 420) if coarse else rng.uniform(420, 640)
        wrong = rng.uniform(*SEVERITY)
        return cls(
            kind=kind,
            density=float(np.clip(own_focal / focal_px, 0.35, 1.0)),
            baseline_m=float(rng.choice([-1, 1]) * rng.uniform(0.03, 0.08)),
            noise_px=rng.uniform(0.04, 0.11),
            step_px=1 / 8 if kind == "structured" else 1 / 32,
            noise_m=rng.uniform(0.0003, 0.001) if kind == "flight" else 0.0003,
            window_px=int(rng.integers(*WINDOW_PX[kind], endpoint=True)),
            scale=1 + wrong * rng.uniform(-0.005, 0.005),
            offset_m=wrong * rng.uniform(-0.003, 0.003),
            ripple=wrong * rng.uniform(0.0, 0.002),
            ripple_px=rng.uniform(15, 60),
            lateral_px=rng.uniform(0.2, 1.0),
            loss=rng.uniform(0.3, 2.0),
            smoothed=bool(rng.random() < 0.4),
        )


@dataclass(frozen=True)
class Surfaces:
    """Surfaces that an ideal camera sees.

    Attributes:
        depth: (H, W) metres, 0 where nothing is met.
        facing: (H, W) cosine between the ray and the normal.
        albedo: (H, W) in [0, 1].
        metal: (H, W) in [0, 1], likeness to a mirror.
        lit: (H, W) bool, whether the projector or second eye reaches it.
    """

    depth: Image
    facing: Image
    albedo: Image
    metal: Image
    lit: NDArray[np.bool_]

    def sampled(self, density: float) -> Surfaces:
        """Return every n-th pixel."""
        height, width = self.depth.shape
        size = max(1, round(density * width)), max(1, round(density * height))

        def take(plane: NDArray) -> NDArray:
            return cv2.resize(plane, size, interpolation=cv2.INTER_NEAREST)

        lit = take(self.lit.astype(np.uint8)) > 0
        return Surfaces(
            take(self.depth), take(self.facing), take(self.albedo), take(self.metal), lit
        )


def blotches(shape: tuple[int, ...], extent_px: float, rng: Rng) -> Image:
    """Return a random (H, W) field of variance 1 with features of an extent."""
    step = max(1, int(extent_px / 4))
    small = rng.normal(size=(shape[0] // step + 3, shape[1] // step + 3)).astype(np.float32)
    field = cv2.GaussianBlur(small, (0, 0), max(0.3, extent_px / step))
    field = cv2.resize(field, shape[::-1], interpolation=cv2.INTER_CUBIC)
    out: Image = (field / max(float(field.std()), 1e-6)).astype(np.float32)
    return out


def facing(camera: CameraIntrinsics, normals: Image) -> Image:
    """Return the (H, W) cosine between rays and (H, W, 3) normals."""
    v, u = np.mgrid[: camera.height, : camera.width]
    rays = ray_directions(camera, u.ravel(), v.ravel()).reshape(normals.shape)
    rays = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    out: Image = np.abs((rays * normals).sum(-1)).astype(np.float32)
    return out


def measure(seen: Surfaces, camera: DepthCamera, focal_px: float, rng: Rng) -> Image:
    """Return the depth on the grid of the depth camera, metres, 0 where none is measured."""
    seen = seen.sampled(camera.density)
    focal = focal_px * camera.density
    depth = np.where(seen.depth > 0, seen.depth, NOTHING_M).astype(np.float32)
    depth = _ragged(_fattened(depth, camera.window_px, rng), camera.lateral_px, rng)
    across = cv2.dilate(depth, np.ones((3, 3))) - cv2.erode(depth, np.ones((3, 3)))
    border = across > STEP_M
    mixed = cv2.blur(np.minimum(depth, FAR_M), (3, 3))
    flying = border & (rng.random(depth.shape) < FLYING[camera.kind]) & (mixed < FAR_M / 2)
    depth = np.where(flying, mixed, depth)
    out = _noisy(depth, seen, camera, focal, rng)
    lost = _lost(seen, border, camera, rng) | (seen.depth <= 0) | (out < NEAR_M) | (out > FAR_M)
    return _filtered(np.where(lost, 0, out).astype(np.float32), camera)


def _fattened(depth: Image, window_px: int, rng: Rng) -> Image:
    """Return the depth with the nearer surface at borders, irregularly."""
    if window_px == 0:
        return depth
    side = 2 * window_px + 1
    near = cv2.erode(depth, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    wide = blotches(depth.shape, 2.0, rng) > rng.uniform(-0.5, 0.8)
    out: Image = np.where(wide & (depth - near > STEP_M), near, depth)
    return out


def _ragged(depth: Image, lateral_px: float, rng: Rng) -> Image:
    """Measure each pixel a little beside it; within a surface this would add noise twice."""
    height, width = depth.shape
    offset = lateral_px * np.stack([blotches(depth.shape, 0.8, rng) for _ in range(2)])
    rows, columns = np.mgrid[:height, :width]
    row = np.clip(np.rint(rows + offset[0]), 0, height - 1).astype(int)
    column = np.clip(np.rint(columns + offset[1]), 0, width - 1).astype(int)
    moved = depth[row, column]
    out: Image = np.where(np.abs(moved - depth) > SMALL_STEP_M, moved, depth)
    return out


def _noisy(depth: Image, seen: Surfaces, camera: DepthCamera, focal: float, rng: Rng) -> Image:
    """Return the depth with noise, steps and slow errors."""
    slant = 1 + 0.6 * (1 / np.maximum(seen.facing, 0.25) - 1)
    grow = slant * (1 + 1.2 * seen.metal)
    flight = camera.kind == "flight"
    wobble = blotches(depth.shape, 0.8 if flight else 1.6, rng) * grow
    drift = camera.ripple * blotches(depth.shape, camera.ripple_px, rng) * depth
    if flight:
        dark = 1 + 0.4 * np.clip(0.3 / (seen.albedo + 0.1), 0, 3)
        out = depth + camera.noise_m * (depth / 0.7) * dark * wobble
    else:
        product = focal * abs(camera.baseline_m)
        disparity = product / np.maximum(depth, 0.05) + camera.noise_px * wobble
        disparity = np.round(disparity / camera.step_px) * camera.step_px
        out = product / np.maximum(disparity, 1e-3) + camera.noise_m * rng.normal(size=depth.shape)
    result: Image = (camera.scale * (out + drift) + camera.offset_m).astype(np.float32)
    return result


def _lost(
    seen: Surfaces, border: NDArray[np.bool_], camera: DepthCamera, rng: Rng
) -> NDArray[np.bool_]:
    """Return what gives no depth: shadow of the projector, grazing, dark, mirrors, borders."""
    spots, fine = blotches(seen.depth.shape, 4, rng), blotches(seen.depth.shape, 1.3, rng)
    flight = camera.kind == "flight"
    shift = 0.6 * np.log(camera.loss)
    lost = ~seen.lit & (fine > -1.2)
    lost |= seen.facing < (0.13 + 0.07 * spots) * min(camera.loss, 1.6)
    lost |= (seen.albedo < 0.04 * camera.loss) & (spots + 0.6 * fine > (1.0 if flight else 1.5))
    mirror = seen.metal * np.clip((seen.facing - 0.93) / 0.05, 0, 1)  # straight back at the camera
    lost |= (seen.metal > 0) & (spots + fine > 2.6 - 1.6 * mirror - shift)
    lost |= border & (fine > (0.8 if flight else 1.1) - shift)
    out: NDArray[np.bool_] = lost | (spots + fine > 4.2 - shift)
    return out


def _filtered(depth: Image, camera: DepthCamera) -> Image:
    """Return the depth after the filters of a driver; holes stay."""
    hole = depth <= 0
    if camera.kind != "flight":
        depth = cv2.medianBlur(depth, 3)
    if camera.smoothed:
        depth = cv2.bilateralFilter(depth, 5, 0.01, 1.5)
    out: Image = np.where(hole | (depth < NEAR_M), 0, depth)
    return out
