"""Values of pixels → depth in metres and 8-bit colour; files, messages and HTTP are read alike."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidFrame
from sam6d_ros.geometry.units import MM_PER_M

# Renderers and simulators mark pixels without a surface by their far plane or by 1e10.
NO_SURFACE_M = 1e5
# Camera SDKs state metres per unit: 0.001, 0.0001, 0.00025 and 0.005 are usual. Millimetres per
# unit so small would mean depth in micrometres.
LEAST_SCALE_MM = 0.02
COLOUR_BITS = (8, 10, 12, 14, 16)


def depth_metres(
    raw: NDArray[Any], depth_scale: float | None, name: str = "depth"
) -> NDArray[np.float32]:
    """Return depth as (H, W) float32 metres, 0 = no measurement.

    No measurement are: 0, negative values, NaN, infinity, the largest value of an unsigned type,
    and floats from ``NO_SURFACE_M`` on.

    Args:
        raw: (H, W) values; (H, W, C) if all channels are equal. Integers of 16 bits and more, or
            floats.
        depth_scale: millimetres per unit; None is 1 for integers, and metres for floats.
        name: of the image, for messages.

    Raises:
        InvalidFrame: several channels that differ, 8 bits, or a scale that is out of its range.
    """
    raw = one_channel(raw, name)
    is_float = raw.dtype.kind == "f"
    if not is_float and (raw.dtype.kind not in "ui" or raw.dtype.itemsize < 2):
        raise InvalidFrame(
            f"depth {name} is {raw.dtype}; expected 16-bit integers or floats. "
            "An 8-bit picture of the depth is for viewing and has lost the distances"
        )
    scale = (MM_PER_M if is_float else 1.0) if depth_scale is None else depth_scale
    check_scale(scale)
    with np.errstate(invalid="ignore"):
        missing = ~(raw > 0) if is_float else raw <= 0
        if raw.dtype.kind == "u":
            missing |= raw == np.iinfo(raw.dtype).max
        if is_float:
            missing |= ~(raw < NO_SURFACE_M * (MM_PER_M / scale))
    metres = np.where(missing, 0, raw).astype(np.float64) * (scale / MM_PER_M)
    return metres.astype(np.float32)


def check_scale(depth_scale: float) -> None:
    """Refuse a depth scale that is not millimetres per unit.

    Raises:
        InvalidFrame: it is not positive, or so small that metres per unit are meant.
    """
    if not (depth_scale > 0 and np.isfinite(depth_scale)):
        raise InvalidFrame(f"depth_scale {depth_scale} must be positive (millimetres per unit)")
    if depth_scale < LEAST_SCALE_MM:
        raise InvalidFrame(
            f"depth_scale is {depth_scale:g}; expected millimetres per unit. Metres per unit, as "
            f"camera SDKs state it, times 1000: depth_scale {depth_scale * MM_PER_M:g}"
        )


def one_channel(raw: NDArray[Any], name: str) -> NDArray[Any]:
    """Return the one channel of a depth image; equal channels are one.

    Raises:
        InvalidFrame: the channels differ.
    """
    if raw.ndim == 3 and raw.shape[2] and (raw == raw[..., :1]).all():
        raw = raw[..., 0]
    if raw.ndim != 2:
        raise InvalidFrame(
            f"depth {name} has shape {raw.shape}; expected (H, W). Are the colour and the depth "
            "image (--rgb and --depth) swapped?"
        )
    return raw


def colour_8_bits(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return colour or grey values with 8 bits; 16-bit values are scaled by their real range.

    The range is the smallest of 8, 10, 12, 14 and 16 bits that holds the largest value.

    Args:
        pixels: (H, W) or (H, W, C), uint8 or uint16.

    Raises:
        InvalidFrame: another type.
    """
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype != np.uint16:
        raise InvalidFrame(f"the colour image is {pixels.dtype}; expected 8 or 16 bits per channel")
    largest = int(pixels.max(initial=0))
    bits = next(bits for bits in COLOUR_BITS if largest < 2**bits)
    scaled = pixels.astype(np.float32) * (255 / (2**bits - 1))
    return np.floor(scaled + 0.5).astype(np.uint8)
