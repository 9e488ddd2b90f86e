"""Colours of binary STL files: 15 bits in the attribute word of each face.

Two conventions are in use (https://en.wikipedia.org/wiki/STL_(file_format)#Color_in_binary).
VisCAM and SolidView: bit 15 is set where the colour counts; red is in the upper bits.
Materialise Magics: the header has ``COLOR=`` and the colour of the body (RGBA); bit 15 is clear
where the face has its own colour; red is in the lower bits.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.readers.companions import Companions

_HEADER_BYTES = 80
_GREY = 128  # of the faces without a colour among coloured ones


def face_colors(
    path: Path, words: NDArray[np.uint16], companions: Companions
) -> NDArray[np.uint8] | None:
    """Return the (F, 3) colours of the faces, or None.

    Args:
        path: binary STL file.
        words: (F,) attribute words.
        companions: takes the warning about words that are no colours.
    """
    with path.open("rb") as file:
        _, mark, body = file.read(_HEADER_BYTES).partition(b"COLOR=")
    low, middle, high = (_eight_bits(words >> np.uint16(shift)) for shift in (0, 5, 10))
    is_flagged = (words & 0x8000) != 0
    if mark and len(body) >= 3:
        own = ~is_flagged & words.any()  # words of zeros only: the colour of the body alone
        rgb = np.stack([low, middle, high], axis=1)
        return np.where(own[:, None], rgb, np.frombuffer(body[:3], np.uint8))
    if is_flagged.any():
        rgb = np.stack([high, middle, low], axis=1)
        return np.where(is_flagged[:, None], rgb, np.uint8(_GREY))
    if words.any():
        companions.warn(
            "has attribute words without the mark of a colour (bit 15, or COLOR= in the header); "
            "no colours are read"
        )
    return None


def _eight_bits(words: NDArray[np.uint16]) -> NDArray[np.uint8]:
    return ((words & 31) * (255 / 31) + 0.5).astype(np.uint8)
