"""Crop, resize by nearest neighbour and pad to a square, with the rounding of the original.

Descriptors depend on which source pixel lands where, so the chain of roundings is part of the
recipe. It is computed as one index map per axis: a crop is then a single gather.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

TARGET = 224
PATCH = 14
PADDING = -1  # in an index map


def resized_length(length: int, scale: np.float32) -> int:
    """Length after the resize, rounded down in double precision; at least one pixel."""
    return max(1, int(np.floor(length * float(scale))))


def nearest_indices(length: int, out_length: int, scale: float) -> NDArray[np.int64]:
    """Source pixel of each output pixel: ⌊i · float32(1/scale)⌋ in float32."""
    step = np.float32(1.0 / scale)
    source = np.floor(np.arange(out_length, dtype=np.float32) * step).astype(np.int64)
    return np.minimum(source, length - 1)


def square_maps(width: int, height: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and column maps (224,) of a box of this size; -1 where there is padding."""
    scale = np.float32(np.float32(1.0 / max(width, height)) * np.float32(TARGET))
    sizes = [resized_length(side, scale) for side in (height, width)]
    maps = [
        nearest_indices(side, size, float(scale))
        for side, size in zip((height, width), sizes, strict=True)
    ]
    if sizes[0] != sizes[1]:
        rows, cols = (_pad(axis) for axis in maps)
        return rows, cols
    # A square of side 223 (rounding) is not padded but resized once more.
    again = TARGET / sizes[0]
    repeat = nearest_indices(sizes[0], TARGET, again)
    return maps[0][repeat], maps[1][repeat]


def _pad(axis: NDArray[np.int64]) -> NDArray[np.int64]:
    """Centre an axis map in 224 pixels, the odd pixel of padding at the end."""
    out = np.full(TARGET, PADDING, np.int64)
    start = max((TARGET - len(axis)) // 2, 0)
    out[start : start + len(axis)] = axis[: TARGET - start]
    return out


def crop_maps(boxes_xyxy: NDArray[np.integer]) -> tuple[Tensor, Tensor]:
    """Return row and column maps (P, 224) int64 in image pixels, -1 = padding.

    Args:
        boxes_xyxy: (P, 4) integer boxes (x0, y0, x1, y1), ends exclusive; at least 1×1.
    """
    rows = np.full((len(boxes_xyxy), TARGET), PADDING, np.int64)
    cols = rows.copy()
    for number, (x0, y0, x1, y1) in enumerate(np.asarray(boxes_xyxy).tolist()):
        row, col = square_maps(max(x1 - x0, 1), max(y1 - y0, 1))
        rows[number] = np.where(row < 0, PADDING, row + y0)
        cols[number] = np.where(col < 0, PADDING, col + x0)
    return torch.from_numpy(rows), torch.from_numpy(cols)


def take_crops(image: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
    """Crops (P, C, 224, 224) of one (C, H, W) image; zero where there is padding."""
    inside = (rows >= 0)[:, :, None] & (cols >= 0)[:, None, :]
    row, col = rows.clamp_min(0)[:, :, None], cols.clamp_min(0)[:, None, :]
    return (image[:, row, col] * inside).transpose(0, 1)


def take_mask_crops(masks: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
    """Crops (P, 224, 224) of (P, H, W) masks, each by its own maps; zero where padded."""
    inside = (rows >= 0)[:, :, None] & (cols >= 0)[:, None, :]
    item = torch.arange(len(masks), device=masks.device)[:, None, None]
    return masks[item, rows.clamp_min(0)[:, :, None], cols.clamp_min(0)[:, None, :]] * inside


def valid_patches(mask_crops: Tensor) -> Tensor:
    """(P, 256) bool: DINOv2 patches of which more than half lies in the (P, 224, 224) mask."""
    return patch_means(mask_crops) > 0.5


def patch_means(mask_crops: Tensor) -> Tensor:
    """(P, 256) float32 share of each 14×14 patch inside the (P, 224, 224) mask."""
    side = mask_crops.shape[-1] // PATCH
    blocks = mask_crops.float().unflatten(-1, (side, PATCH)).unflatten(-3, (side, PATCH))
    return blocks.mean(dim=(-1, -3)).flatten(1)
