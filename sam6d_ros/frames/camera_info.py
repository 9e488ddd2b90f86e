"""Intrinsics of a ROS CameraInfo, for files and messages alike.

Source: the field comments of sensor_msgs/CameraInfo, and PinholeCameraModel of image_geometry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidCamera

# Coefficients below this move no pixel of a 4k image by a hundredth of a pixel.
NEGLIGIBLE_DISTORTION = 1e-6


@dataclass(frozen=True)
class Roi:
    """Region of interest in pixels of the full, unbinned sensor; a size of 0 is all of it."""

    x_offset: int = 0
    y_offset: int = 0
    height: int = 0
    width: int = 0


@dataclass(frozen=True)
class CameraInfo:
    """Fields of a CameraInfo.

    Attributes:
        width, height: of the full sensor, pixels.
        k: (9,) camera matrix of the raw image, by rows.
        d: distortion coefficients.
        p: (12,) projection matrix of the rectified image, by rows; empty if unknown.
        binning: pixels that were joined, along x and y; 0 and 1 are none.
        roi: region of interest.
    """

    width: int
    height: int
    k: Sequence[float]
    d: Sequence[float] = ()
    p: Sequence[float] = ()
    binning: tuple[int, int] = (0, 0)
    roi: Roi = Roi()

    @property
    def is_distorted(self) -> bool:
        """Whether the raw image has lens distortion."""
        return bool(
            np.any(np.abs(np.nan_to_num(np.asarray(self.d, float))) > NEGLIGIBLE_DISTORTION)
        )

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The (3, 3) camera matrix of the full sensor without distortion.

        ``k`` is taken when the lens has no distortion. With distortion the image must be a
        rectified one, whose camera matrix is the left part of ``p``.
        """
        if self.is_distorted and len(self.p) == 12 and self.p[0] > 0:
            return np.asarray(self.p, np.float64).reshape(3, 4)[:, :3].copy()
        return np.asarray(self.k, np.float64).reshape(3, 3).copy()

    @property
    def is_partial(self) -> bool:
        """Whether region or binning make the image another one than that of the full sensor."""
        return self.roi != Roi() or max(self.binning) > 1

    def intrinsics(self) -> tuple[NDArray[np.float64], tuple[int, int]]:
        """Return ``matrix`` with region and binning applied, and the (width, height) of the image.

        Raises:
            InvalidCamera: region and binning do not fit the sensor.
        """
        matrix = self.matrix
        width, height = self.roi.width or self.width, self.roi.height or self.height
        steps = [max(1, step) for step in self.binning]
        self._check(width, height, steps)
        matrix[0, 2] -= self.roi.x_offset
        matrix[1, 2] -= self.roi.y_offset
        matrix[0, :] /= steps[0]
        matrix[1, :] /= steps[1]
        return matrix, (width // steps[0], height // steps[1])

    def _check(self, width: int, height: int, steps: Sequence[int]) -> None:
        roi = self.roi
        if min(roi.x_offset, roi.y_offset, roi.width, roi.height, *self.binning) < 0:
            raise InvalidCamera(f"roi {roi} or binning {self.binning} is negative")
        if roi.x_offset + width > self.width or roi.y_offset + height > self.height:
            raise InvalidCamera(
                f"the roi {width}×{height} at ({roi.x_offset}, {roi.y_offset}) is not inside the "
                f"sensor of {self.width}×{self.height}; roi is in pixels of the full sensor"
            )
        if width < steps[0] or height < steps[1]:
            raise InvalidCamera(f"binning {tuple(steps)} leaves nothing of {width}×{height} pixels")
