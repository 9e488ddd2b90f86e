"""Requests → frames and detections: sizes and headers are checked before anything is decoded."""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from sam6d_ros.apps.http.settings import Limits
from sam6d_ros.errors import InvalidFrame, InvalidInput, TooLarge
from sam6d_ros.frames import colour_8_bits, depth_metres
from sam6d_ros.geometry import rle
from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.types import Frame

FORMATS = ("PNG", "JPEG", "TIFF")
_DATA_URL = re.compile(r"data:[\w.+/-]*;base64,", re.ASCII)
# An orientation in EXIF would turn colour against depth and intrinsics.
_COLOR = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION


def image_bytes(value: str | bytes, name: str) -> bytes:
    """Return the bytes of an image that is base64 text (also a data URL) or bytes already.

    Raises:
        InvalidFrame: the text is no base64.
    """
    if isinstance(value, bytes):
        data = value
    else:
        text = "".join(value[match.end() if (match := _DATA_URL.match(value)) else 0 :].split())
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidFrame(
                f"{name} is no base64 text ({error}); expected the bytes of a PNG, JPEG or TIFF "
                "file in base64"
            ) from error
    if not data:
        raise InvalidFrame(f"{name} is empty; expected a PNG, JPEG or TIFF file")
    return data


def check_header(data: bytes, name: str, limits: Limits) -> None:
    """Read an image's header: format and size.

    Raises:
        InvalidFrame: it is no image of a known format.
        TooLarge: it has too many pixels.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
    except Image.DecompressionBombError as error:
        raise TooLarge(f"{name}: {error}") from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, KeyError) as error:
        raise InvalidFrame(
            f"{name} is no image of the formats {', '.join(FORMATS)} ({len(data)} bytes)"
        ) from error
    if width * height > limits.image_pixels:
        raise TooLarge(
            f"{name} has {width}×{height} pixels; at most {limits.image_pixels:,} are decoded"
        )


def decode_rgb(value: str | bytes, name: str, limits: Limits) -> NDArray[np.uint8]:
    """Return a colour image as (H, W, 3) uint8 RGB.

    Raises:
        InvalidFrame: it cannot be decoded.
        TooLarge: it has too many pixels.
    """
    image = colour_8_bits(_decode(image_bytes(value, name), name, limits, _COLOR))
    return np.ascontiguousarray(image[..., ::-1])


def decode_depth(
    value: str | bytes, name: str, depth_scale: float, limits: Limits
) -> NDArray[np.float32]:
    """Return a depth image as (H, W) float32 metres, 0 = no measurement.

    Args:
        depth_scale: millimetres per unit, also of a float image (as BOP and SAM-6D use it).
        value: base64 text, or bytes of a PNG, TIFF or EXR file.
        name: of the field, for error texts.
        limits: largest image.

    Raises:
        InvalidFrame: it cannot be decoded, has 8 bits or several channels.
        TooLarge: it has too many pixels.
    """
    raw = _decode(image_bytes(value, name), name, limits, cv2.IMREAD_UNCHANGED)
    return depth_metres(raw, depth_scale, name)


def make_frame(
    rgb: NDArray[np.uint8], depth: NDArray[np.float32], camera_matrix: Sequence[float]
) -> Frame:
    """Return the frame of images with a camera matrix (9,), by rows.

    Raises:
        InvalidFrame, InvalidCamera: they do not fit together.
    """
    height, width = rgb.shape[:2]
    return Frame(rgb, depth, CameraIntrinsics.from_matrix(camera_matrix, width, height))


def decode_mask(value: Any, shape: tuple[int, int], name: str) -> NDArray[np.bool_]:
    """Return one mask of a frame: COCO RLE (both forms) or nested lists by rows.

    Args:
        shape: (height, width) of the frame.
        value: the mask.
        name: of the field, for error texts.

    Raises:
        InvalidInput: it is of another size or form, or has no pixel.
    """
    mask = _from_rle(value, shape, name) if isinstance(value, Mapping) else _from_rows(value, name)
    _check_size(mask.shape, shape, name)
    if not mask.any():
        raise InvalidInput(f"{name} has no pixel; expected the visible pixels of one instance")
    return mask


def _from_rle(value: Mapping[str, Any], shape: tuple[int, int], name: str) -> NDArray[np.bool_]:
    size = value.get("size")
    if not isinstance(size, list) or len(size) != 2:
        raise InvalidInput(f"{name} has the size {size!r:.60}; expected [height, width]")
    _check_size(tuple(size), shape, name)
    try:
        return rle.decode(value)
    except InvalidInput as error:
        raise InvalidInput(f"{name}: {error}") from error


def _from_rows(value: Any, name: str) -> NDArray[np.bool_]:
    try:
        array = np.asarray(value, np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidInput(
            f"{name} is no image: rows of different lengths or values that are no numbers"
        ) from error
    if array.ndim != 2:
        raise InvalidInput(f"{name} has {array.ndim} dimensions; expected rows of numbers, or RLE")
    mask: NDArray[np.bool_] = array > 0
    return mask


def _check_size(size: tuple[Any, ...], shape: tuple[int, int], name: str) -> None:
    if size != shape:
        raise InvalidInput(
            f"{name} is {size[0]!r:.20}×{size[1]!r:.20}, the image {shape[0]}×{shape[1]} (height × "
            "width); give masks of this image"
        )


def _decode(data: bytes, name: str, limits: Limits, flags: int) -> NDArray[Any]:
    check_header(data, name, limits)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise InvalidFrame(f"{name} cannot be decoded: {error.err}") from error
    if image is None:
        raise InvalidFrame(f"{name} cannot be decoded; is the file truncated?")
    if image.size > 4 * limits.image_pixels:  # the header stated another size
        raise TooLarge(f"{name} has {image.size} values; at most {limits.image_pixels:,} pixels")
    return np.asarray(image)
