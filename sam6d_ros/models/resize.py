"""Bilinear resize of 8-bit images on any device, with the rounding of Pillow, bit for bit.

Pillow filters along rows, rounds to 8 bits, then along columns (``Resample.c``): weights are
rounded to 22 bits after the point, and sums are integers. Sums of integers do not depend on the
device. SAM was trained on images that were resized so.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sam6d_ros.models.transfer import to_device

PRECISION_BITS = 32 - 8 - 2  # of Resample.c


def resize(image: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Resize an (H, W, C) uint8 image to (h, w, C) as Pillow's ``Image.resize`` with BILINEAR."""
    wide = _filter(image.transpose(0, 1), size_hw[1])
    return _filter(wide.transpose(0, 1), size_hw[0])


def _filter(image: Tensor, count: int) -> Tensor:
    """Resize an (N, M, C) image along its first axis to ``count``."""
    if len(image) == count:
        return image
    index, weight = _taps(len(image), count, image.device)
    rows = image.flatten(1)
    half = 1 << (PRECISION_BITS - 1)
    total = torch.full((count, rows.shape[1]), half, dtype=torch.int32, device=image.device)
    for source, factor in zip(index, weight, strict=True):
        total += rows[source].int() * factor[:, None]
    return (total >> PRECISION_BITS).to(torch.uint8).unflatten(1, image.shape[1:])


@lru_cache(maxsize=16)
def _taps(size: int, count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return source rows and weights on the device, copied there once."""
    with torch.inference_mode(False):
        index, weight = taps(size, count)
        return to_device(index, device), to_device(weight, device)


def taps(size: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return source rows (K, count) and their weights (K, count) in fixed point.

    Args:
        size: rows of the source.
        count: rows of the result.
    """
    scale = size / count
    support = max(scale, 1.0)
    centre = (np.arange(count) + 0.5) * scale
    low = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    high = np.minimum((centre + support + 0.5).astype(np.int64), size)
    number = np.arange(math.ceil(support) * 2 + 1)[:, None]
    share = np.maximum(1.0 - np.abs((number + low - centre + 0.5) * (1.0 / support)), 0.0)
    share = np.where(number < high - low, share, 0.0)
    total = np.zeros(count)
    for row in share:  # in this order, as Pillow does
        total += row
    weight = (0.5 + share / total * (1 << PRECISION_BITS)).astype(np.int32)
    used = weight.any(1)
    return np.minimum(number + low, size - 1)[used], weight[used]
