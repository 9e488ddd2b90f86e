"""Pinhole camera: OpenCV convention, x right, y down, z forward, pixel centres at integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sam6d_ros.errors import InvalidCamera

NEGLIGIBLE_SKEW = 1e-6  # of the focal length: rounding of a calibration
MAX_ASPECT = 1.25  # of fx and fy: pixels of real sensors are square within a few per cent
# The principal point lies near the centre of an image. Equal shares of width and height that are
# far from one half mean the matrix of another image size, or a point that was never filled in.
SAME_SHARE = 0.06
CENTRAL = (0.3, 0.7)


@dataclass(frozen=True)
class CameraIntrinsics:
    """Pinhole intrinsics in pixels of a width × height image without distortion.

    Raises:
        InvalidCamera: a value is not finite, a focal length is not positive, the principal
            point lies far outside the image, or the size is not positive.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    def __post_init__(self) -> None:
        values = (self.fx, self.fy, self.cx, self.cy)
        if not np.isfinite(values).all():
            raise InvalidCamera(
                f"intrinsics (fx, fy, cx, cy) = {values} are not finite; "
                "is the camera driver calibrated (camera_info.k)?"
            )
        if self.width <= 0 or self.height <= 0:
            raise InvalidCamera(f"image size {self.width}×{self.height} is not positive")
        if self.fx <= 0 or self.fy <= 0:
            raise InvalidCamera(
                f"focal lengths fx={self.fx}, fy={self.fy} must be positive pixels; "
                "an uncalibrated driver publishes zeros in camera_info.k"
            )
        off_x, off_y = abs(self.cx - self.width / 2), abs(self.cy - self.height / 2)
        if off_x > self.width or off_y > self.height:
            raise InvalidCamera(
                f"principal point ({self.cx}, {self.cy}) lies far outside the "
                f"{self.width}×{self.height} image; does camera_info belong to this image size?"
            )

    @classmethod
    def from_matrix(cls, matrix: ArrayLike, width: int, height: int) -> CameraIntrinsics:
        """Build from a 3×3 (or flat 9, by rows) matrix K in pixels.

        Args:
            matrix: (3, 3), or 9 values by rows, pixels.
            width: of the image, pixels.
            height: of the image, pixels.

        Returns:
            The intrinsics.

        Raises:
            InvalidCamera: K is written by columns, has skew or another last row than 0 0 1, a
                value is out of its range, or K is implausible for an image of this size.
        """
        k = np.asarray(matrix, dtype=np.float64).ravel()
        if k.size != 9:
            raise InvalidCamera(f"the camera matrix has {k.size} values; expected 9 (3×3 by rows)")
        if np.isfinite(k).all() and k[0] > 0 and k[4] > 0:
            _check_form(k)
        camera = cls(float(k[0]), float(k[4]), float(k[2]), float(k[5]), int(width), int(height))
        _check_plausible(camera)
        return camera

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The (3, 3) camera matrix K in pixels."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]])

    def scaled(self, factor: float) -> CameraIntrinsics:
        """Return the camera of a resized image; pixel centres are at integers.

        Args:
            factor: new size by old size.

        Returns:
            Intrinsics for the rounded size.
        """
        width, height = round(self.width * factor), round(self.height * factor)
        fx, fy = self.fx * width / self.width, self.fy * height / self.height
        cx = (self.cx + 0.5) * width / self.width - 0.5
        cy = (self.cy + 0.5) * height / self.height - 0.5
        return CameraIntrinsics(fx, fy, cx, cy, width, height)


def _check_form(k: NDArray[np.float64]) -> None:
    """Refuse a matrix K (9 values, by rows) that is not fx 0 cx, 0 fy cy, 0 0 1."""
    text = f"the camera matrix is {k.tolist()}; expected fx 0 cx, 0 fy cy, 0 0 1 by rows"
    if not k[[2, 5]].any() and k[[6, 7]].any():
        raise InvalidCamera(f"{text}. It is written by columns: transpose it")
    if not np.allclose(k[6:], [0, 0, 1], rtol=0, atol=1e-9):
        raise InvalidCamera(f"{text}. Its last row is wrong: is it a projection matrix (P)?")
    if np.abs(k[[1, 3]]).max() > NEGLIGIBLE_SKEW * k[0]:
        raise InvalidCamera(f"{text}. It has skew: rectify the images, and give their matrix")


def _check_plausible(camera: CameraIntrinsics) -> None:
    """Refuse focal lengths that differ, and a principal point at a corner of the image."""
    fx, fy, cx, cy = camera.fx, camera.fy, camera.cx, camera.cy
    size = f"{camera.width}×{camera.height}"
    if (ratio := max(fx, fy) / min(fx, fy)) > MAX_ASPECT:
        raise InvalidCamera(
            f"focal lengths fx={fx:g} and fy={fy:g} differ by a factor of {ratio:.3g}; those of a "
            "camera differ by a few per cent. Correct the wrong one"
        )
    if cx == 0 and cy == 0:
        raise InvalidCamera(
            "the principal point (cx, cy) is (0, 0), which is no calibration; expected a point "
            f"near the centre of the {size} image"
        )
    share_x, share_y = cx / camera.width, cy / camera.height
    if not CENTRAL[0] <= share_x <= CENTRAL[1] and abs(share_x - share_y) < SAME_SHARE:
        scale = share_x + share_y
        other = f"{scale * camera.width:.0f}×{scale * camera.height:.0f}"
        raise InvalidCamera(
            f"principal point ({cx:g}, {cy:g}) of a {size} image: the matrix seems to be that of "
            f"{other} pixels. Give the matrix of this image size (scale fx, fy, cx, cy alike)"
        )


def project(camera: CameraIntrinsics, points_cam: NDArray) -> NDArray[np.float64]:
    """Project points to pixels.

    Args:
        camera: intrinsics.
        points_cam: (..., 3) metres, camera frame.

    Returns:
        (..., 2) pixels as (u, v), the centre of the first one at (0, 0); NaN for z ≤ 0.
    """
    z = np.where(points_cam[..., 2] > 0, points_cam[..., 2], np.nan)
    u = points_cam[..., 0] / z * camera.fx + camera.cx
    v = points_cam[..., 1] / z * camera.fy + camera.cy
    return np.stack([u, v], axis=-1)


def ray_directions(camera: CameraIntrinsics, u: NDArray, v: NDArray) -> NDArray[np.float32]:
    """Return the directions of the rays through pixels.

    Args:
        camera: intrinsics.
        u: (...) pixels, column.
        v: (...) pixels, row.

    Returns:
        (..., 3) float32 directions with z = 1, camera frame.
    """
    x = (u - camera.cx) / camera.fx
    y = (v - camera.cy) / camera.fy
    return np.stack([x, y, np.ones_like(x)], axis=-1).astype(np.float32)


def back_project(camera: CameraIntrinsics, depth: NDArray) -> NDArray[np.float32]:
    """Return the points (H, W, 3) float32 in metres, camera frame, of a (H, W) depth image.

    Invalid depth (0) gives the point (0, 0, 0). All in float32, in the order of operations of
    SAM-6D: there the last bits decide which of two near points the furthest-point sampling takes.

    Args:
        camera: intrinsics.
        depth: (H, W) metres along z, 0 = no measurement.
    """
    z = np.asarray(depth, np.float32)
    grid = np.indices(z.shape, dtype=np.float32)
    return back_project_pixels(camera, grid[1], grid[0], z)


def back_project_pixels(
    camera: CameraIntrinsics, u: NDArray[np.float32], v: NDArray[np.float32], z: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the points of pixels, computed as in :func:`back_project`.

    Args:
        camera: intrinsics.
        u: (...) column, pixels.
        v: (...) row, pixels.
        z: (...) depth, metres.

    Returns:
        (..., 3) float32 metres, camera frame.
    """
    f32 = np.float32
    x = (u - f32(camera.cx)) * z / f32(camera.fx)
    y = (v - f32(camera.cy)) * z / f32(camera.fy)
    return np.stack([x, y, z], axis=-1)
