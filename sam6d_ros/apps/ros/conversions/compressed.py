"""Pixels → ``CompressedImage`` messages, as image_transport's plugins send them.

``frames.messages.compressed`` reads them and has the source.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from sam6d_ros.frames.messages import rvl
from sam6d_ros.frames.messages.compressed import CONFIG_HEADER, RVL_SIZE
from sam6d_ros.frames.messages.images import values_from_metres

# Defaults of the plugin's parameters depth_max (metres) and depth_quantization.
DEPTH_MAX_M = 10.0
DEPTH_QUANTIZATION = 100.0


def compressed_image_from_rgb(
    rgb: NDArray[np.uint8], header: Header, codec: str = "jpeg"
) -> CompressedImage:
    """A ``compressed`` message of (H, W, 3) uint8 RGB; codec "jpeg" or "png"."""
    _, data = cv2.imencode(f".{codec}", np.ascontiguousarray(rgb[..., ::-1]))
    return _message(header, f"rgb8; {codec} compressed bgr8", data.tobytes())


def compressed_depth_from_metres(
    depth: NDArray[np.float32], header: Header, encoding: str = "16UC1", codec: str = "png"
) -> CompressedImage:
    """Return a ``compressedDepth`` message of (H, W) float32 metres, 0 = no measurement.

    16UC1 is exact to the millimetre. 32FC1 is cut off in inverse depth, in steps of 0.1 mm at 1 m
    and 1 cm at 10 m; beyond that and nearer than 0.16 m it becomes invalid (the plugin's defaults).

    Raises:
        InvalidFrame: another encoding is asked for.
    """
    values, quantization = values_from_metres(depth, encoding), (0.0, 0.0)
    if encoding == "32FC1":
        values, quantization = _inverse(values)
    if codec == "rvl":
        body = RVL_SIZE.pack(depth.shape[1], depth.shape[0]) + rvl.encode(values.ravel())
    else:
        body = cv2.imencode(".png", values)[1].tobytes()
    data = CONFIG_HEADER.pack(0, *quantization) + body
    return _message(header, f"{encoding}; compressedDepth {codec}", data)


def _inverse(metres: NDArray[np.float32]) -> tuple[NDArray[np.uint16], tuple[float, float]]:
    """Metres, NaN invalid → quantised inverse depth, and its two parameters."""
    quant_a = DEPTH_QUANTIZATION * (DEPTH_QUANTIZATION + 1)
    quant_b = 1 - quant_a / DEPTH_MAX_M
    values = quant_a / metres + quant_b
    inside = (metres < DEPTH_MAX_M) & (values <= np.iinfo(np.uint16).max)
    return np.where(inside, values, 0).astype(np.uint16), (quant_a, quant_b)


def _message(header: Header, text: str, data: bytes) -> CompressedImage:
    message = CompressedImage(header=header, format=text)
    message.data.frombytes(data)
    return message
