"""Colour cameras of the training scenes: lamps, exposure, motion blur, noise, sharpening, JPEG."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.depth_camera import blotches

Rng = np.random.Generator
Image = NDArray[np.float32]
MOTION_SHARE, MOTION_PX = 0.35, (1.0, 5.0)  # of the images; length of the path during exposure
JPEG_SHARE, JPEG_QUALITY = 0.6, (50, 96)


@dataclass(frozen=True)
class ColorCamera:
    """One colour camera in one light.

    Attributes:
        gamma: exponent of the brightness.
        gain: (3,) factors of the channels: exposure and white balance.
        lamp: relative standard deviation of the light over the image.
        dirt: the same within surfaces.
        flare: share of light that is spread over the image.
        blur_px: standard deviation of the lens.
        motion_px: (2,) path during exposure.
        noise: standard deviation, levels of 255.
        sharpening: share of the difference to a smoothed image.
        jpeg_quality: 0 for none.
    """

    gamma: float
    gain: NDArray[np.float64]
    lamp: float
    dirt: float
    flare: float
    blur_px: float
    motion_px: NDArray[np.float64]
    noise: float
    sharpening: float
    jpeg_quality: int

    @classmethod
    def drawn(cls, rng: Rng) -> ColorCamera:
        """Draw a camera."""
        angle, moves = rng.uniform(0, np.pi), rng.random() < MOTION_SHARE
        length = rng.uniform(*MOTION_PX) if moves else 0.0
        return cls(
            gamma=rng.uniform(0.75, 1.4),
            gain=np.exp(rng.uniform(-0.45, 0.3) + rng.normal(0, 0.06, 3)),
            lamp=rng.uniform(0, 0.2),
            dirt=rng.uniform(0, 0.05),
            flare=rng.uniform(0, 0.2),
            blur_px=rng.uniform(0.4, 1.1),
            motion_px=length * np.array([np.cos(angle), np.sin(angle)]),
            noise=rng.uniform(1.0, 6.0),
            sharpening=rng.uniform(0, 0.5),
            jpeg_quality=int(rng.integers(*JPEG_QUALITY)) if rng.random() < JPEG_SHARE else 0,
        )


def photograph(lit: Image, camera: ColorCamera, rng: Rng) -> NDArray[np.uint8]:
    """Return the image (H, W, 3) of an ideal one, 0 to 255."""
    image = np.clip(lit / 255, 0, 1).astype(np.float32) ** np.float32(camera.gamma)
    shape = image.shape[:2]
    light = np.exp(camera.lamp * blotches(shape, 120, rng) + camera.dirt * blotches(shape, 6, rng))
    image = image * light[..., None] * camera.gain.astype(np.float32)
    image = (1 - camera.flare) * image + camera.flare * image.mean((0, 1))
    image = np.where(image > 0.8, 0.8 + 0.2 * np.tanh((image - 0.8) / 0.4), image)  # shoulder
    image = cv2.GaussianBlur(image.astype(np.float32), (0, 0), camera.blur_px)
    image = _moved(image, camera.motion_px)
    sigma = camera.noise / 255 * np.sqrt(0.4 + np.clip(image, 0, 1) * 1.275)
    image = image + sigma * rng.normal(size=image.shape).astype(np.float32)
    image = image + camera.sharpening * (image - cv2.GaussianBlur(image, (0, 0), 1.2))
    out = np.clip(255 * image + 0.5, 0, 255).astype(np.uint8)
    if camera.jpeg_quality:
        coded = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, camera.jpeg_quality])[1]
        out = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return out


def _moved(image: Image, path_px: NDArray[np.float64]) -> Image:
    """Return the mean of the image along a path."""
    length = float(np.abs(path_px).max())
    if length < 0.5:
        return image
    kernel = np.zeros((9, 9), np.float32)
    for at in np.linspace(-0.5, 0.5, 33):
        u, v = np.rint(4 + at * path_px).astype(int)
        kernel[v, u] += 1
    out: Image = cv2.filter2D(image, -1, kernel / kernel.sum())
    return out
