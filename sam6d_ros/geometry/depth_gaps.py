"""Gaps of depth that was registered to a larger colour image: regular, a few pixels wide.

A depth sensor of fewer pixels leaves rows and columns without a value when its points are projected
into the colour image. Filters that look at neighbours find no surface there.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

REACH_PX = 2  # a gap is bridged from values so near: every third row and column is enough
MAX_SHARE = 0.6  # of the pixels of measured areas that have a value: more is no sparse depth
MIN_AREA = 0.05  # of the image that is measured at all
SAME_SURFACE = 0.02  # of the depth: neighbours that differ more are of another surface


def is_sparse(depth: NDArray[np.float32]) -> bool:
    """Whether most pixels of the measured areas have no value, but a near neighbour that has.

    Args:
        depth: (H, W) float32, metres, 0 = no measurement.

    Returns:
        True for the depth of a sparse sensor, whose gaps later stages must not take for
        edges.
    """
    valid = depth > 0
    if valid.mean() > MAX_SHARE:
        return False
    area = _closed(valid)
    if area.mean() < MIN_AREA:
        return False
    return bool(valid[area].mean() < MAX_SHARE)


def bridge_gaps(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the depth with the gaps of registration filled; dense depth is returned as it is.

    A gap gets the mean of its neighbours within ``REACH_PX`` that lie on the surface of the nearest
    one, weighted by a Gaussian; holes wider than that stay. Measured values stay.

    Args:
        depth: (H, W) float32, metres, 0 = no measurement.
    """
    if not is_sparse(depth):
        return depth
    valid = depth > 0
    size = 2 * REACH_PX + 1
    far = np.where(valid, depth, np.float32(np.inf))
    front = cv2.erode(far, np.ones((size, size), np.uint8))
    total, weight = np.zeros_like(depth), np.zeros_like(depth)
    padded = np.pad(far, REACH_PX, constant_values=np.inf)
    height, width = depth.shape
    for dy in range(size):
        for dx in range(size):
            value = padded[dy : dy + height, dx : dx + width]
            near = value <= front * np.float32(1 + SAME_SURFACE)
            offset = (dy - REACH_PX) ** 2 + (dx - REACH_PX) ** 2
            share = np.where(near & np.isfinite(value), np.float32(np.exp(-offset / 2)), 0)
            total += share * np.where(share > 0, value, 0)
            weight += share
    fill = ~valid & _closed(valid) & (weight > 0)
    out = depth.copy()
    out[fill] = total[fill] / weight[fill]
    return out


def _closed(valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the measured areas with their gaps (morphological closing)."""
    kernel = np.ones((2 * REACH_PX + 1, 2 * REACH_PX + 1), np.uint8)
    closed = cv2.morphologyEx(valid.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    return closed.astype(bool)
