"""Sets of camera messages → ``Frame``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidCamera
from sam6d_ros.frames import camera_info
from sam6d_ros.frames.messages.compressed import metres_from_compressed, rgb_from_compressed
from sam6d_ros.frames.messages.images import metres_from_image, rgb_from_image
from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.types import Frame


def stamp_ns_of(header: Any) -> int:
    """Nanoseconds of a header's stamp."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


def frame_from_messages(rgb: Any, depth: Any, info: Any) -> Frame:
    """Build a Frame with the stamp and frame_id of the colour image.

    Args:
        rgb: rgb8, bgr8, rgba8, bgra8 or mono8; or compressed (JPEG, PNG).
        depth: 16UC1 millimetres (0 invalid) or 32FC1 metres (NaN and infinities invalid),
            registered to the colour image (REP-118); or the same as compressedDepth.
        info: intrinsics of the colour image; see ``intrinsics_from_camera_info``.

    Returns:
        The frame.

    Raises:
        InvalidFrame: an encoding, a size or the data is wrong.
        InvalidCamera: the intrinsics are unusable.
    """
    return Frame(
        rgb=rgb_from_message(rgb),
        depth=_metres_from_message(depth),
        camera=intrinsics_from_camera_info(info),
        stamp_ns=stamp_ns_of(rgb.header),
        frame_id=rgb.header.frame_id,
    )


def rgb_from_message(message: Any) -> NDArray[np.uint8]:
    """Decode a colour message, compressed or not.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        InvalidFrame: encoding, size or data is wrong.
    """
    return rgb_from_compressed(message) if _is_compressed(message) else rgb_from_image(message)


def _metres_from_message(message: Any) -> NDArray[np.float32]:
    return (
        metres_from_compressed(message) if _is_compressed(message) else metres_from_image(message)
    )


def intrinsics_from_camera_info(info: Any) -> CameraIntrinsics:
    """Read the intrinsics of an undistorted image, in pixels.

    See ``frames.camera_info``: files and messages are read alike.

    Returns:
        The intrinsics.

    Raises:
        InvalidCamera: values are zero, not finite, or do not fit the image size.
    """
    try:
        matrix, (width, height) = _fields(info).intrinsics()
        return CameraIntrinsics.from_matrix(matrix, width, height)
    except InvalidCamera as error:
        raise InvalidCamera(f"camera_info: {error}") from error


def _fields(info: Any) -> camera_info.CameraInfo:
    region = info.roi
    roi = camera_info.Roi(region.x_offset, region.y_offset, region.height, region.width)
    binning = (info.binning_x, info.binning_y)
    return camera_info.CameraInfo(info.width, info.height, info.k, info.d, info.p, binning, roi)


def distortion_warning(info: Any) -> str:
    """Return a warning about lens distortion; empty when the lens has none."""
    if not _fields(info).is_distorted:
        return ""
    return (
        f"camera_info.d = {[round(float(v), 4) for v in info.d]} is not zero: the images are taken "
        "as rectified, with the intrinsics of camera_info.p. Remap to rectified topics "
        "(image_proc: image_rect_color, and depth registered to it), else poses are off "
        "towards the image border"
    )


def _is_compressed(message: Any) -> bool:
    """Whether a message is a CompressedImage, which alone has a format."""
    return hasattr(message, "format")
