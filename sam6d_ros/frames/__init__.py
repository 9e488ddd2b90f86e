"""RGB-D frames from files: colour and depth images and the camera's intrinsics.

The only place where file formats and their units are known; everything later sees a ``Frame``.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.lib.format import MAGIC_PREFIX
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidFrame
from sam6d_ros.frames.camera_files import CameraFile, existing, parse_camera, read_camera
from sam6d_ros.frames.pixels import colour_8_bits, depth_metres
from sam6d_ros.types import CameraIntrinsics, Frame

__all__ = [
    "CameraFile",
    "colour_8_bits",
    "depth_metres",
    "load_frame",
    "make_frame",
    "parse_camera",
    "read_camera",
    "read_depth",
    "read_rgb",
]


def load_frame(
    rgb: Path,
    depth: Path,
    camera: Path,
    depth_scale: float | None = None,
    image_id: int | None = None,
) -> Frame:
    """Read one registered RGB-D frame.

    Args:
        rgb: colour image in any format OpenCV reads.
        depth: see ``read_depth``.
        camera: see ``read_camera``.
        depth_scale: millimetres per unit of the depth image; overrides the camera file.
        image_id: key in a scene_camera.json; the number in the colour file's name by default.

    Returns:
        The frame; depth in metres.

    Raises:
        InvalidFrame, InvalidCamera: a file is missing, unreadable, or they do not fit together.
    """
    color = read_rgb(rgb)
    if image_id is None and rgb.stem.isdigit():
        image_id = int(rgb.stem)
    intrinsics = read_camera(camera, image_id)
    return make_frame(color, read_depth(depth, depth_scale, intrinsics.depth_scale), intrinsics)


def make_frame(rgb: NDArray[np.uint8], depth: NDArray[np.float32], camera: CameraFile) -> Frame:
    """Put the parts together; the camera takes the image's size when its file has none."""
    width, height = camera.size or (rgb.shape[1], rgb.shape[0])
    return Frame(rgb, depth, CameraIntrinsics.from_matrix(camera.matrix, width, height))


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Read a colour (or grey) image of 8 or 16 bits.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        InvalidFrame: the file is missing or no image.
    """
    # An orientation in EXIF would turn colour against depth and intrinsics.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    image = colour_8_bits(_image(existing(path, "colour image"), flags))
    return np.ascontiguousarray(image[..., ::-1])


def read_depth(
    path: Path, depth_scale: float | None = None, camera_scale: float | None = None
) -> NDArray[np.float32]:
    """Read a depth image; see ``depth_metres``.

    Args:
        path: integers (16-bit PNG or TIFF) in millimetres, or floats (.npy, .tiff, .exr) in metres.
        depth_scale: millimetres per unit, whatever the type; overrides all else.
        camera_scale: the same for integers only, as camera files state it.

    Returns:
        (H, W) float32, metres, 0 = no measurement.

    Raises:
        InvalidFrame: missing, unreadable, of several channels or of 8 bits.
    """
    existing(path, "depth image")
    raw = _array(path) if path.suffix == ".npy" else _image(path, cv2.IMREAD_UNCHANGED)
    if depth_scale is None and raw.dtype.kind in "ui":
        depth_scale = camera_scale
    return depth_metres(raw, depth_scale, str(path))


def _array(path: Path) -> NDArray:
    """Return the values of a .npy file; no memory is taken for more than the file has."""
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC_PREFIX)) != MAGIC_PREFIX:
                raise ValueError("it is no array of NumPy")
        return np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    except Exception as error:  # the parser of the header raises errors of many types
        raise InvalidFrame(f"{path} cannot be read: {str(error)[:500]}") from error


def _image(path: Path, flags: int) -> NDArray:
    """Return the stored values as OpenCV reads them."""
    try:
        image = cv2.imread(str(path), flags)
    except cv2.error as error:
        needs = "; set OPENCV_IO_ENABLE_OPENEXR=1 before the process starts"
        remedy = needs if path.suffix == ".exr" else ""
        raise InvalidFrame(f"{path} cannot be read: {error.err}{remedy}") from error
    if image is None:
        raise InvalidFrame(f"{path} is no image that OpenCV can read")
    return image
