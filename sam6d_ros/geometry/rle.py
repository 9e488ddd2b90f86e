"""Masks as uncompressed, column-major run lengths (COCO)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def encode(mask: NDArray[np.bool_]) -> dict[str, list[int]]:
    """``{"size": [H, W], "counts": […]}`` of an (H, W) mask; the first run counts zeros."""
    flat = np.asarray(mask > 0).ravel(order="F")
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    if flat.size and flat[0]:
        counts.insert(0, 0)
    return {"size": list(mask.shape), "counts": counts}


def decode(rle: dict[str, list[int]]) -> NDArray[np.bool_]:
    """The (H, W) mask of :func:`encode`."""
    counts = np.asarray(rle["counts"], np.int64)
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return flat.reshape(rle["size"], order="F")
