"""What each image encoding means: depth, channels and colour.

Names are those of sensor_msgs/image_encodings.hpp; the generic ones follow OpenCV's type names
(`32FC1`, or `32F` for one channel).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

NUMPY_DEPTHS = {
    "8U": "uint8",
    "8S": "int8",
    "16U": "uint16",
    "16S": "int16",
    "32S": "int32",
    "32F": "float32",
    "64F": "float64",
}
GENERIC = re.compile(r"(8U|8S|16U|16S|32S|32F|64F)(?:C([0-9]+))?")
COLORS = {"mono": ("GRAY", 1), "rgb": ("RGB", 3), "bgr": ("BGR", 3), "rgba": ("RGBA", 4)}
COLORS["bgra"] = ("BGRA", 4)
BAYER_PATTERNS = ("rggb", "bggr", "gbrg", "grbg")


@dataclass(frozen=True)
class Encoding:
    """One image encoding.

    name: as in the message; dtype: NumPy name of one value; channels: values per pixel;
    color: what the channels are ("RGB", "GRAY", "BAYER_RGGB", "UYVY", …), None for plain numbers.
    """

    name: str
    dtype: str
    channels: int
    color: str | None


def _named() -> dict[str, Encoding]:
    table = {}
    for bits in (8, 16):
        for name, (color, channels) in COLORS.items():
            table[f"{name}{bits}"] = (f"uint{bits}", channels, color)
        for pattern in BAYER_PATTERNS:
            table[f"bayer_{pattern}{bits}"] = (f"uint{bits}", 1, f"BAYER_{pattern.upper()}")
    table["yuv422"] = ("uint8", 2, "UYVY")
    table["yuv422_yuy2"] = ("uint8", 2, "YUY2")
    return {name: Encoding(name, *rest) for name, rest in table.items()}


NAMED = _named()


def lookup(name: str) -> Encoding | None:
    """The encoding called `name`, or None when there is none."""
    if name in NAMED:
        return NAMED[name]
    match = GENERIC.fullmatch(name)
    if match is None:
        return None
    return Encoding(name, NUMPY_DEPTHS[match[1]], int(match[2] or 1), None)
