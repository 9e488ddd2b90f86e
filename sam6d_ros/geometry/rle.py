"""COCO run-length encoding of masks: column-major runs, the first one of zeros.

Both forms of the format are read: ``counts`` as text (compressed) and as a list of run lengths.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from sam6d_ros.errors import InvalidInput


def encode(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Return ``{"size": [H, W], "counts": text}`` of an (H, W) mask.

    Args:
        mask: (H, W) bool.
    """
    rle = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return {"size": [int(n) for n in rle["size"]], "counts": rle["counts"].decode("ascii")}


def encode_runs(mask: NDArray[np.bool_]) -> dict[str, list[int]]:
    """Return ``{"size": [H, W], "counts": [run, …]}`` of an (H, W) mask, as SAM-6D writes it.

    Args:
        mask: (H, W) bool.
    """
    flat = np.asarray(mask > 0).ravel(order="F")
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    if flat.size and flat[0]:
        counts.insert(0, 0)
    return {"size": list(mask.shape), "counts": counts}


def decode(rle: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Return the (H, W) mask of either form.

    Args:
        rle: ``size`` [H, W] and ``counts``: compressed text of COCO, or a list of runs by columns.

    Raises:
        InvalidInput: the runs do not fill the size, or the value is of neither form.
    """
    try:
        height, width = (int(n) for n in rle["size"])
        counts = rle["counts"]
        if isinstance(counts, str | bytes):
            counts = _runs_of(counts)
        runs = np.asarray(counts, np.int64)
        # No run is longer than the image, so that the sum below cannot wrap around.
        most = height * width
        fits = min(height, width) > 0 and runs.ndim == 1 and len(runs) <= most + 1
        in_range = fits and bool(((runs >= 0) & (runs <= most)).all())
        total = int(runs.sum()) if in_range else -1
    except (KeyError, TypeError, ValueError, OverflowError, IndexError) as error:
        raise InvalidInput(
            f"the mask is no COCO RLE ({type(error).__name__}: {error}); expected a map of size "
            "[height, width] and counts"
        ) from error
    if total < 0:
        raise InvalidInput(
            f"the mask has a run that is negative or longer than its {width}×{height} pixels, or "
            "too many runs"
        )
    if total != height * width:
        raise InvalidInput(
            f"the mask has runs of {total} pixels in all; its size {width}×{height} has "
            f"{height * width}"
        )
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return flat.reshape((height, width), order="F")


def _runs_of(text: str | bytes) -> list[int]:
    """Return the run lengths of compressed counts.

    Five bits per character from 48 upwards, a sign bit and a continuation bit; from the third run
    on each is stored as its difference from the one two before (rleFrString in
    cocodataset/cocoapi, common/maskApi.c). Read here and not by pycocotools, which trusts the text.

    Raises:
        ValueError: a character is out of range.
    """
    data = text.encode("ascii") if isinstance(text, str) else bytes(text)
    runs: list[int] = []
    at = 0
    while at < len(data):
        value, shift, more = 0, 0, True
        while more:
            bits = data[at] - 48
            if not 0 <= bits < 64 or shift > 60:
                raise ValueError(f"character {at} of counts is out of range")
            value |= (bits & 0x1F) << shift
            more, at, shift = bool(bits & 0x20), at + 1, shift + 5
            if not more and bits & 0x10:
                value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
    return runs
