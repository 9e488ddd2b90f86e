"""Camera messages ↔ ``Frame``. Units change here and nowhere else (REP-118)."""

from __future__ import annotations

import numpy as np
from cv_bridge import CvBridge
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from sam6d_ros.errors import InvalidCamera, InvalidFrame
from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.types import Frame

# Channels as they lie in a pixel, and which of them are red, green and blue.
COLOUR_CHANNELS = {
    "rgb8": (3, [0, 1, 2]),
    "bgr8": (3, [2, 1, 0]),
    "rgba8": (4, [0, 1, 2]),
    "bgra8": (4, [2, 1, 0]),
    "mono8": (1, [0, 0, 0]),
}
COLOUR_ENCODINGS = tuple(COLOUR_CHANNELS)
DEPTH_TYPES = {"16UC1": "u2", "32FC1": "f4"}
DEPTH_ENCODINGS = tuple(DEPTH_TYPES)
MM_PER_M = 1000.0
# Coefficients below this move no pixel of a 4k image by a hundredth of a pixel.
NEGLIGIBLE_DISTORTION = 1e-6

_bridge = CvBridge()


def stamp_ns_of(header: Header) -> int:
    """Nanoseconds of a header's stamp."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


def header_from(stamp_ns: int, frame_id: str) -> Header:
    """The header of a stamp in nanoseconds and a frame name."""
    header = Header(frame_id=frame_id)
    header.stamp.sec, header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    return header


def frame_from_messages(rgb: Image, depth: Image, info: CameraInfo) -> Frame:
    """Build a Frame with the stamp and frame_id of the colour image.

    Args:
        rgb: rgb8, bgr8, rgba8, bgra8 or mono8.
        depth: 16UC1 millimetres (0 invalid) or 32FC1 metres (NaN and infinities invalid),
            registered to the colour image (REP-118).
        info: intrinsics of the colour image; see ``intrinsics_from_camera_info``.

    Raises:
        InvalidFrame: an encoding, a size or the data's length is wrong.
        InvalidCamera: the intrinsics are unusable.
    """
    return Frame(
        rgb=_rgb_from_message(rgb),
        depth=_metres_from_message(depth),
        camera=intrinsics_from_camera_info(info),
        stamp_ns=stamp_ns_of(rgb.header),
        frame_id=rgb.header.frame_id,
    )


def intrinsics_from_camera_info(info: CameraInfo) -> CameraIntrinsics:
    """Intrinsics in pixels of an undistorted image.

    ``k`` is taken when the lens has no distortion. With distortion the image must be a rectified
    one, whose camera matrix is the left part of ``p`` (sensor_msgs/CameraInfo).

    Raises:
        InvalidCamera: values are zero, not finite, or do not fit the image size.
    """
    matrix = np.asarray(info.k, np.float64).reshape(3, 3)
    projection = np.asarray(info.p, np.float64).reshape(3, 4)[:, :3]
    if distortion_warning(info) and projection[0, 0] > 0:
        matrix = projection
    try:
        return CameraIntrinsics.from_matrix(matrix, info.width, info.height)
    except InvalidCamera as error:
        raise InvalidCamera(f"camera_info: {error}") from error


def distortion_warning(info: CameraInfo) -> str:
    """What to tell the user about lens distortion; empty when the lens has none."""
    if not np.any(np.abs(np.nan_to_num(np.asarray(info.d))) > NEGLIGIBLE_DISTORTION):
        return ""
    return (
        f"camera_info.d = {[round(float(v), 4) for v in info.d]} is not zero: the images are taken "
        "as rectified, with the intrinsics of camera_info.p. Remap to rectified topics "
        "(image_proc: image_rect_color, and depth registered to it), else poses are off "
        "towards the image border"
    )


def _rgb_from_message(message: Image) -> NDArray[np.uint8]:
    if message.encoding not in COLOUR_ENCODINGS:
        raise InvalidFrame(
            f"rgb encoding is {message.encoding!r}; expected one of {COLOUR_ENCODINGS}. "
            "Convert it in the driver or with image_proc (debayer)"
        )
    channels, order = COLOUR_CHANNELS[message.encoding]
    pixels = _pixels(message, "rgb", np.dtype(np.uint8), channels)
    if channels == 1:
        return np.repeat(pixels, 3, axis=2)
    return np.ascontiguousarray(pixels[..., order])


def _metres_from_message(message: Image) -> NDArray[np.float32]:
    if message.encoding not in DEPTH_ENCODINGS:
        raise InvalidFrame(
            f"depth encoding is {message.encoding!r}; expected 16UC1 (millimetres) or 32FC1 "
            "(metres), REP-118. Is ~/depth remapped to a depth image registered to colour?"
        )
    byte_order = ">" if message.is_bigendian else "<"
    dtype = np.dtype(byte_order + DEPTH_TYPES[message.encoding])
    raw = _pixels(message, "depth", dtype, 1)[..., 0]
    if message.encoding == "16UC1":
        return raw.astype(np.float32) / np.float32(MM_PER_M)
    return np.where(np.isfinite(raw), raw, 0).astype(np.float32)


def _pixels(message: Image, name: str, dtype: np.dtype, channels: int) -> NDArray:
    """The (H, W, channels) pixels without the padding at the end of rows.

    Not by cv_bridge, whose Python reader skews images with a padding that is no whole number of
    pixels (rgb8 rows aligned to 4 bytes) and refuses big-endian ones under NumPy 2.
    """
    height, width = message.height, message.width
    if width == 0 or height == 0:
        raise InvalidFrame(f"{name} is {width}×{height}: the image is empty")
    row = width * channels * dtype.itemsize
    if message.step < row or len(message.data) < message.step * (height - 1) + row:
        raise InvalidFrame(
            f"{name} has step {message.step} and {len(message.data)} bytes; {width}×{height} "
            f"{message.encoding} needs a step of at least {row} and {message.step}×{height} "
            "bytes. Is the driver's message truncated?"
        )
    data = np.frombuffer(message.data, np.uint8)
    rows = np.lib.stride_tricks.as_strided(data, (height, row), (message.step, 1), writeable=False)
    return np.ascontiguousarray(rows).view(dtype).reshape(height, width, channels)


def image_from_rgb(rgb: NDArray[np.uint8], header: Header) -> Image:
    """An rgb8 image message of (H, W, 3) uint8 RGB."""
    message = _bridge.cv2_to_imgmsg(np.ascontiguousarray(rgb), encoding="rgb8")
    message.header = header
    return message


def depth_image_from_metres(
    depth: NDArray[np.float32], header: Header, encoding: str = "16UC1"
) -> Image:
    """A depth message of (H, W) float32 metres, 0 invalid.

    16UC1 rounds to millimetres, and what is beyond 65.535 m becomes invalid; 32FC1 marks invalid
    pixels by NaN.

    Raises:
        InvalidFrame: another encoding is asked for.
    """
    if encoding == "16UC1":
        depth_mm = np.rint(np.asarray(depth, np.float64) * MM_PER_M)
        array = np.where(depth_mm <= np.iinfo(np.uint16).max, depth_mm, 0).astype(np.uint16)
    elif encoding == "32FC1":
        array = np.where(depth > 0, depth, np.nan).astype(np.float32)
    else:
        raise InvalidFrame(f"depth encoding {encoding!r}; expected one of {DEPTH_ENCODINGS}")
    message = _bridge.cv2_to_imgmsg(array, encoding=encoding)
    message.header = header
    return message


def camera_info_from_intrinsics(camera: CameraIntrinsics, header: Header) -> CameraInfo:
    """CameraInfo of an undistorted camera."""
    k = camera.matrix
    return CameraInfo(
        header=header,
        width=camera.width,
        height=camera.height,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=k.ravel().tolist(),
        r=np.eye(3).ravel().tolist(),
        p=np.hstack([k, np.zeros((3, 1))]).ravel().tolist(),
    )
