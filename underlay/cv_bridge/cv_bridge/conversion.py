"""Conversion of an image from one encoding to another, by the rules of cv_bridge.

Colours convert to colours; 8 and 16 bit integers are scaled to each other's full range, other
depths keep their values. Plain numbers (`32FC1`, `16UC1`, …) are not colours: they convert only
to plain numbers with as many channels.
"""

from __future__ import annotations

import cv2
import numpy as np

from cv_bridge.encodings import Encoding

# OpenCV names a Bayer pattern by the second row's second and third pixel, ROS by the first two
# pixels of the first and second row.
BAYER = {"BAYER_RGGB": "BayerBG", "BAYER_BGGR": "BayerRG", "BAYER_GBRG": "BayerGR"}
BAYER["BAYER_GRBG"] = "BayerGB"
# Scale between the full ranges of two depths, in bits; every other pair keeps its values.
FULL_RANGE = {(8, 16): 65535.0 / 255.0, (16, 8): 255.0 / 65535.0}


def convert(image: np.ndarray, source: Encoding, target: Encoding) -> np.ndarray:
    """Return a copy of an image in another encoding.

    Images are (H, W) or (H, W, C), in `source` and in `target`.

    Raises:
        ValueError: the two encodings do not convert into each other.
    """
    if source.color is None or target.color is None:
        _require_same_shape(source, target)
    elif source.color != target.color:
        image = _recolor(image, source, target)
    elif source.color not in ("GRAY", "RGB", "BGR", "RGBA", "BGRA", "UYVY"):
        raise ValueError(f"Unsupported conversion from [{source.name}] to [{target.name}]")
    return _redepth(image, np.dtype(source.dtype), np.dtype(target.dtype))


def _require_same_shape(source: Encoding, target: Encoding) -> None:
    if source.color is None and target.color is not None:
        raise ValueError(
            f"[{source.name}] is not a color format. but [{target.name}] is. "
            "The conversion does not make sense"
        )
    if source.channels != target.channels:
        raise ValueError(
            f"[{source.name}] and [{target.name}] do not have the same number of channel"
        )


def _recolor(image: np.ndarray, source: Encoding, target: Encoding) -> np.ndarray:
    if source.color in BAYER and target.color in ("GRAY", "RGB", "BGR"):
        code = f"COLOR_{BAYER[source.color]}2{target.color}"
    elif source.color in ("UYVY", "YUY2"):
        code = f"COLOR_YUV2{target.color}_{source.color}"
    else:
        code = f"COLOR_{source.color}2{target.color}"
    if not hasattr(cv2, code):
        raise ValueError(f"Unsupported conversion from [{source.name}] to [{target.name}]")
    return cv2.cvtColor(image, getattr(cv2, code))


def _redepth(image: np.ndarray, source: np.dtype, target: np.dtype) -> np.ndarray:
    """Change the type of the values as OpenCV's convertTo does: round to even and saturate."""
    if source == target:
        return image.copy()
    scale = FULL_RANGE.get((source.itemsize * 8, target.itemsize * 8), 1.0)
    if target.kind == "f":
        return (image * scale).astype(target) if scale != 1.0 else image.astype(target)
    limits = np.iinfo(target)
    values = np.rint(image.astype(np.float64) * scale)
    return np.clip(np.nan_to_num(values, nan=limits.min), limits.min, limits.max).astype(target)
