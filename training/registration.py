"""Registration errors between depth and colour: shift, rotation, scale, radial distortion."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator
SEVERITY = (0.2, 1.0)  # of one camera: factor of all figures below
SHIFT_PX = 2.0  # standard deviation along each axis
MAX_SHIFT_PX = 3.0
ANGLE_RAD, SCALE = np.radians(0.15), 0.002  # standard deviations
RADIAL_PX = 1.2  # standard deviation, at the corner


@dataclass(frozen=True)
class Registration:
    """Displacement of the pixels of one image against the other.

    Attributes:
        shift_px: (2,) along u and v.
        angle: radians, about the middle of the image.
        scale: relative change of size.
        radial: displacement at the corner over the distance of the corner, cubic in the radius.
    """

    shift_px: NDArray[np.float64]
    angle: float
    scale: float
    radial: float

    @classmethod
    def drawn(cls, diagonal_px: float, rng: Rng) -> Registration:
        """Draw an error for an image of a diagonal."""
        shift = np.clip(rng.normal(0, SHIFT_PX, 2), -MAX_SHIFT_PX, MAX_SHIFT_PX)
        angle, scale = rng.normal(0, ANGLE_RAD), rng.normal(0, SCALE)
        drawn = cls(shift, angle, scale, rng.normal(0, RADIAL_PX) / (diagonal_px / 2))
        return drawn.part(rng.uniform(*SEVERITY))

    def part(self, share: float) -> Registration:
        """Return a share of the error."""
        return Registration(
            share * self.shift_px, share * self.angle, share * self.scale, share * self.radial
        )

    def sources(self, width: int, height: int) -> NDArray[np.float32]:
        """Return the (H, W, 2) places (u, v) from which the displaced image takes its pixels."""
        v, u = np.mgrid[:height, :width].astype(np.float32)
        x, y = u - (width - 1) / 2, v - (height - 1) / 2
        radius = (x * x + y * y) / ((width / 2) ** 2 + (height / 2) ** 2)
        factor = 1 + self.scale + self.radial * radius
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        at = np.stack([factor * (cos * x - sin * y), factor * (sin * x + cos * y)], -1)
        at += np.array([(width - 1) / 2, (height - 1) / 2]) + self.shift_px
        out: NDArray[np.float32] = at.astype(np.float32)
        return out

    def of_depth(self, depth: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
        """Return a depth image of any resolution at the pixels of the colour: the nearest value."""
        at = self.sources(width, height)
        ratio = np.array(depth.shape[::-1]) / (width, height)
        at = ((at + 0.5) * ratio - 0.5).astype(np.float32)
        out: NDArray[np.float32] = cv2.remap(
            depth, at[..., 0], at[..., 1], cv2.INTER_NEAREST, borderValue=0
        )
        return out

    def of_color(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a colour image displaced."""
        at = self.sources(image.shape[1], image.shape[0])
        out: NDArray[np.float32] = cv2.remap(
            image, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return out
