"""Pixels of ``CompressedImage`` messages, as image_transport's plugins send them.

``compressed``: a JPEG or PNG file; ``format`` is "rgb8; jpeg compressed bgr8", or "jpeg" alone.
``compressedDepth``: a header, then a 16-bit PNG file or an RVL code; ``format`` is
"16UC1; compressedDepth png", "… rvl", or without the last word, which then is png. Source:
ros-perception/image_transport_plugins, compressed_depth_image_transport/src/codec.cpp.
"""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sam6d_ros.errors import InvalidFrame
from sam6d_ros.frames.messages import rvl
from sam6d_ros.frames.messages.images import (
    DEPTH_ENCODINGS,
    check_colour_encoding,
    metres_from_values,
)
from sam6d_ros.frames.pixels import colour_8_bits

# int32 format (0: inverse depth), float depthParam[2]; of 32FC1 alone the parameters matter.
CONFIG_HEADER = struct.Struct("<iff")
RVL_SIZE = struct.Struct("<II")  # columns, rows
CODECS = ("png", "rvl")
# Of no camera; a damaged header must not ask for all memory.
MAX_PIXELS = 2**26  # 67 million
# Three channels; no turning by EXIF, which the intrinsics would not follow. The bits of the file
# are kept, so that 16 bits are scaled as in raw messages.
COLOUR_FLAGS = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
FILE_FORMATS = ("JPEG", "PNG", "TIFF")  # that the plugins write
REMEDY = "Is the topic one of image_transport's, and the input's image_transport set to its kind?"


def rgb_from_compressed(message: Any) -> NDArray[np.uint8]:
    """Decode a ``compressed`` message of colour; grey pixels are converted.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        InvalidFrame: the data is no image, or of an encoding that is refused raw too.
    """
    if "compressedDepth" in message.format:
        raise InvalidFrame(f"rgb has format {message.format!r}: that is a depth image. {REMEDY}")
    encoding, named, _ = message.format.partition(";")
    if named:
        check_colour_encoding(encoding.strip())
    pixels = colour_8_bits(_decoded(message, bytes(message.data), COLOUR_FLAGS))
    if pixels.ndim == 2:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    # Old senders may have written RGB where the file format has BGR; they state it.
    stored_as_rgb = "compressed rgb" in message.format
    return pixels if stored_as_rgb else np.ascontiguousarray(pixels[..., ::-1])


def metres_from_compressed(message: Any) -> NDArray[np.float32]:
    """Decode a ``compressedDepth`` message.

    Returns:
        (H, W) float32, metres, 0 = no measurement.

    Raises:
        InvalidFrame: the format is another one, or the data is damaged.
    """
    data = bytes(message.data)
    if is_plain_png(message.format):
        return metres_from_values(_sixteen_bits(_decoded(message, data, cv2.IMREAD_UNCHANGED)))
    encoding, codec = _depth_format(message.format)
    if len(data) <= CONFIG_HEADER.size:
        raise InvalidFrame(f"compressed depth has {len(data)} bytes: the message is cut off")
    _, quant_a, quant_b = CONFIG_HEADER.unpack_from(data)
    body = data[CONFIG_HEADER.size :]
    values = _from_rvl(body) if codec == "rvl" else _decoded(message, body, cv2.IMREAD_UNCHANGED)
    values = _sixteen_bits(values)
    if encoding == "32FC1":
        values = _from_inverse(values, quant_a, quant_b)
    return metres_from_values(values)


def is_plain_png(text: str) -> bool:
    """Whether a ``format`` names a PNG file without the header of ``compressedDepth``.

    The plugin ``compressed`` sends 16-bit images so: "16UC1; png compressed ", or "png" alone.

    Returns:
        True if it does.
    """
    encoding, named, transport = (part.strip() for part in text.partition(";"))
    if not named:
        return encoding == "png"
    return encoding == "16UC1" and transport.split()[:2] == ["png", "compressed"]


def _sixteen_bits(values: NDArray) -> NDArray:
    """Return decoded depth; raise InvalidFrame if it is not one channel of 16 bits."""
    if values.ndim != 2 or values.dtype != np.uint16:
        raise InvalidFrame(
            f"compressed depth decodes to {values.shape} {values.dtype}; expected one channel of "
            f"16 bits. {REMEDY}"
        )
    return values


def _depth_format(text: str) -> tuple[str, str]:
    """Encoding and codec that a ``format`` names."""
    encoding, _, transport = (part.strip() for part in text.partition(";"))
    words = transport.split()
    known = words in ([], ["compressedDepth"], *(["compressedDepth", codec] for codec in CODECS))
    if encoding not in DEPTH_ENCODINGS or not known:
        raise InvalidFrame(
            f"compressed depth has format {text!r}; expected '16UC1; compressedDepth png' or "
            f"32FC1, png or rvl. {REMEDY}"
        )
    return encoding, words[1] if len(words) == 2 else "png"


def _decoded(message: Any, data: bytes, flags: int) -> NDArray:
    """Decode an image file in memory, once its header was found to state a possible size."""
    width, height = _stated_size(data)
    if width * height > MAX_PIXELS:
        raise InvalidFrame(
            f"compressed image states a size of {width}×{height}; at most {MAX_PIXELS:,} pixels "
            "are decoded. It is damaged, or not of a camera"
        )
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if width * height else None
    except cv2.error:  # damaged beyond the header
        pixels = None
    if pixels is None:
        raise InvalidFrame(
            f"compressed image with format {message.format!r} and {len(message.data)} bytes "
            f"cannot be decoded: it is damaged or of another format. {REMEDY}"
        )
    return pixels


def _stated_size(data: bytes) -> tuple[int, int]:
    """Width and height in the header of an image file; zeros if there is none to read."""
    try:
        with Image.open(BytesIO(data), formats=FILE_FORMATS) as image:
            return image.size
    except Image.DecompressionBombError:
        return MAX_PIXELS + 1, 1
    except (OSError, ValueError, SyntaxError, struct.error):
        return 0, 0


def _from_rvl(body: bytes) -> NDArray[np.uint16]:
    if len(body) < RVL_SIZE.size:
        raise InvalidFrame(f"compressed depth has {len(body)} bytes of RVL: the message is cut off")
    columns, rows = RVL_SIZE.unpack_from(body)
    if not 0 < columns * rows <= MAX_PIXELS:
        raise InvalidFrame(f"the compressed depth is {columns}×{rows}: the message is damaged")
    return rvl.decode(body[RVL_SIZE.size :], columns * rows).reshape(rows, columns)


def _from_inverse(values: NDArray[np.uint16], quant_a: float, quant_b: float) -> NDArray:
    """Quantised inverse depth → metres, NaN invalid."""
    if not (np.isfinite([quant_a, quant_b]).all() and quant_a > 0):
        raise InvalidFrame(
            f"compressed depth has quantization parameters {quant_a}, {quant_b}; expected "
            "finite ones, the first positive: the message is damaged"
        )
    with np.errstate(divide="ignore"):
        metres = np.float32(quant_a) / (values.astype(np.float32) - np.float32(quant_b))
    return np.where(values > 0, metres, np.nan)
