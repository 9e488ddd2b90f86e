"""Pixels of ``Image`` messages. Units of depth change here and nowhere else (REP-118)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidFrame
from sam6d_ros.frames.pixels import colour_8_bits, depth_metres
from sam6d_ros.geometry.units import MM_PER_M

# Channels as they lie in a pixel, and OpenCV's code to RGB (several times faster than indexing).
COLOUR_CHANNELS = {
    "rgb8": (3, None),
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "mono8": (1, cv2.COLOR_GRAY2RGB),
    "rgb16": (3, None),
    "bgr16": (3, cv2.COLOR_BGR2RGB),
    "mono16": (1, cv2.COLOR_GRAY2RGB),
}
COLOUR_ENCODINGS = tuple(COLOUR_CHANNELS)
DEPTH_TYPES = {"16UC1": "u2", "32FC1": "f4"}
DEPTH_ENCODINGS = tuple(DEPTH_TYPES)
LABEL_TYPES = {"mono8": "u1", "8UC1": "u1", "mono16": "u2", "16UC1": "u2"}


def rgb_from_image(message: Any) -> NDArray[np.uint8]:
    """Decode a colour message.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        InvalidFrame: encoding, size or length of the data is wrong.
    """
    check_colour_encoding(message.encoding)
    channels, to_rgb = COLOUR_CHANNELS[message.encoding]
    byte_order = ">" if message.is_bigendian else "<"
    wide = message.encoding.endswith("16")
    raw = _pixels(message, "rgb", np.dtype(byte_order + ("u2" if wide else "u1")), channels)
    pixels = colour_8_bits(raw.astype(np.uint16)) if wide else raw
    # A copy, not the message's read-only memory: compiled kernels take that for another type, and
    # would be compiled again when the first frame comes.
    return pixels.copy() if to_rgb is None else cv2.cvtColor(pixels, to_rgb)


def check_colour_encoding(encoding: str) -> None:
    """Refuse colour of other encodings than ``COLOUR_ENCODINGS``, raw and compressed alike.

    Raises:
        InvalidFrame: it is another one.
    """
    if encoding not in COLOUR_ENCODINGS:
        raise InvalidFrame(
            f"rgb encoding is {encoding!r:.80}; expected one of {COLOUR_ENCODINGS}. "
            "Convert it in the driver or with image_proc (debayer)"
        )


def metres_from_image(message: Any) -> NDArray[np.float32]:
    """Decode a depth message.

    Returns:
        (H, W) float32, metres, 0 = no measurement.

    Raises:
        InvalidFrame: encoding, size or length of the data is wrong.
    """
    if message.encoding not in DEPTH_ENCODINGS:
        raise InvalidFrame(
            f"depth encoding is {message.encoding!r}; expected 16UC1 (millimetres) or 32FC1 "
            "(metres), REP-118. Is ~/depth remapped to a depth image registered to colour?"
        )
    byte_order = ">" if message.is_bigendian else "<"
    dtype = np.dtype(byte_order + DEPTH_TYPES[message.encoding])
    return metres_from_values(_pixels(message, "depth", dtype, 1)[..., 0])


def labels_from_image(message: Any) -> NDArray[np.unsignedinteger]:
    """Decode a label image.

    Returns:
        (H, W) uint8 or uint16, 0 = background.

    Raises:
        InvalidFrame: encoding, size or length of the data is wrong.
    """
    if message.encoding not in LABEL_TYPES:
        raise InvalidFrame(
            f"label image encoding is {message.encoding!r:.80}; expected one of "
            f"{tuple(LABEL_TYPES)}, the number of a class at each pixel"
        )
    dtype = np.dtype((">" if message.is_bigendian else "<") + LABEL_TYPES[message.encoding])
    return _pixels(message, "label image", dtype, 1)[..., 0]


def _pixels(message: Any, name: str, dtype: np.dtype, channels: int) -> NDArray:
    """Read the pixels without the padding at the end of rows.

    Not by cv_bridge, whose Python reader skews images with a padding that is no whole number of
    pixels (rgb8 rows aligned to 4 bytes) and refuses big-endian ones under NumPy 2.

    Returns:
        (H, W, channels) pixels.

    Raises:
        InvalidFrame: size or length of the data is wrong.
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


def metres_from_values(values: NDArray) -> NDArray[np.float32]:
    """Convert depth as REP-118 writes it to metres; see ``frames.depth_metres``.

    Args:
        values: integers are millimetres, floats metres.

    Returns:
        (H, W) float32, metres, 0 = no measurement.
    """
    return depth_metres(values, None)


def values_from_metres(depth: NDArray[np.float32], encoding: str) -> NDArray:
    """Convert depth in metres, 0 = no measurement, to the values of REP-118.

    16UC1 rounds to millimetres, and what is beyond 65.535 m becomes invalid; 32FC1 marks invalid
    pixels by NaN.

    Returns:
        (H, W) uint16 or float32 of the encoding.

    Raises:
        InvalidFrame: another encoding is asked for.
    """
    if encoding == "16UC1":
        depth_mm = np.rint(np.asarray(depth, np.float64) * MM_PER_M)
        return np.where(depth_mm <= np.iinfo(np.uint16).max, depth_mm, 0).astype(np.uint16)
    if encoding == "32FC1":
        return np.where(depth > 0, depth, np.nan).astype(np.float32)
    raise InvalidFrame(f"depth encoding {encoding!r}; expected one of {DEPTH_ENCODINGS}")
