"""From images and masks to the inputs of the pose network, with the arithmetic of the original."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

INPUT_SIZE = 224
OBSERVED_POINTS = 2048
TEMPLATE_POINTS = 5000  # per view
MIN_MASK_PIXELS = 32  # a mask must have more
MIN_CLOUD_POINTS = 4
RADIUS_FACTOR = 1.2  # points farther from the cloud's mean than this × radius are outliers

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class CropInput:
    """What the pose network takes of one view.

    Attributes:
        bgr: (224, 224, 3) uint8, black outside the mask.
        flat_index: (N,) int64 pixel of each point in ``bgr``, row·224 + column.
        points: (N, 3) float32 metres: camera frame (observation) or object frame (template).
    """

    bgr: NDArray[np.uint8]
    flat_index: NDArray[np.int64]
    points: NDArray[np.float32]


@dataclass(frozen=True)
class MaskedCloud:
    """The points of one detection after the outlier filter.

    Attributes:
        box: (row0, row1, column0, column1) square crop, ends exclusive.
        mask_pixels: pixels of the mask with a depth, in the image.
        crop_pixels: those inside the crop.
        centre: (3,) float32 mean of the points in the crop, metres, camera frame.
        kept: (K,) int64 flat pixels of the crop whose points survive.
        points: (K, 3) float32 metres, camera frame.
    """

    box: Box
    mask_pixels: int
    crop_pixels: int
    centre: NDArray[np.float32]
    kept: NDArray[np.int64]
    points: NDArray[np.float32]


def square_box(mask: NDArray[np.bool_]) -> Box:
    """Square (row0, row1, column0, column1) around a mask, shifted to lie inside the image.

    The side is twice the half side, so an odd side loses one row and column and mask pixels can
    be cut off: the weights were trained on such crops.
    """
    height, width = mask.shape
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    row0, row1, col0, col1 = rows[0], rows[-1] + 1, cols[0], cols[-1] + 1
    half = min(max(row1 - row0, col1 - col0), min(height, width)) // 2
    top, bottom = _interval((row0 + row1) // 2, half, height)
    left, right = _interval((col0 + col1) // 2, half, width)
    return top, bottom, left, right


def _interval(centre: int, half: int, size: int) -> tuple[int, int]:
    low, high = int(centre - half), int(centre + half)
    if low < 0:
        low, high = 0, high - low
    if high > size:
        low, high = low - (high - size), size
    return low, high


def crop_to_input(flat: NDArray[np.int64], crop_hw: tuple[int, int]) -> NDArray[np.int64]:
    """Flat pixels of the crop as flat pixels of the 224×224 input.

    The product with 224/size is rounded down in float64; integer division would differ for 58
    crop sizes.
    """
    row, col = flat // crop_hw[1], flat % crop_hw[1]
    row_in = np.floor(row * (INPUT_SIZE / crop_hw[0]))
    col_in = np.floor(col * (INPUT_SIZE / crop_hw[1]))
    return (row_in * INPUT_SIZE + col_in).astype(np.int64)


def crop_image(rgb: NDArray[np.uint8], mask: NDArray[np.bool_], box: Box) -> NDArray[np.uint8]:
    """(224, 224, 3) uint8 BGR crop, black outside the mask, bilinearly resized."""
    part = (slice(box[0], box[1]), slice(box[2], box[3]))
    bgr = rgb[part][..., ::-1] * mask[part][..., None]
    size = (INPUT_SIZE, INPUT_SIZE)
    resized = cv2.resize(np.ascontiguousarray(bgr), size, interpolation=cv2.INTER_LINEAR)
    return resized.astype(np.uint8, copy=False)


def masked_cloud(
    points: NDArray[np.float32], mask: NDArray[np.bool_], radius: float
) -> MaskedCloud | None:
    """The points of a mask near their mean; None when there are too few.

    Args:
        points: (H, W, 3) float32 metres, camera frame; z = 0 where there is no depth.
        mask: (H, W) bool.
        radius: largest distance of a model point from the object's origin, metres.
    """
    mask = mask & (points[..., 2] > 0)
    count = int(mask.sum())
    if count <= MIN_MASK_PIXELS:
        return None
    box = square_box(mask)
    part = (slice(box[0], box[1]), slice(box[2], box[3]))
    flat = np.flatnonzero(mask[part])
    cloud = points[part].reshape(-1, 3)[flat]
    centre = cloud.mean(axis=0)
    near = np.linalg.norm(cloud - centre, axis=1) < radius * RADIUS_FACTOR
    if near.sum() < MIN_CLOUD_POINTS:
        return None
    return MaskedCloud(box, count, len(flat), centre, flat[near], cloud[near])


def draw(available: int, count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """``count`` positions among ``available``: without repetition when there are more of them."""
    return random.choice(available, count, replace=available <= count)


def observation_input(
    rgb: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    cloud: MaskedCloud,
    drawn: NDArray[np.integer],
) -> CropInput:
    """Network input of one detection.

    Args:
        rgb: (H, W, 3) uint8.
        mask: (H, W) bool, pixels of the detection with a depth (not filtered by radius).
        cloud: of :func:`masked_cloud`.
        drawn: (2048,) positions in ``cloud.points``.
    """
    box = cloud.box
    flat = crop_to_input(cloud.kept[drawn], (box[1] - box[0], box[3] - box[2]))
    return CropInput(crop_image(rgb, mask, box), flat, cloud.points[drawn])


def template_input(
    rgb: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    points_obj: NDArray[np.float32],
    drawn: NDArray[np.integer],
) -> CropInput:
    """Network input of one template view.

    Args:
        rgb: (H, W, 3) uint8.
        mask: (H, W) bool.
        points_obj: (H, W, 3) float32 metres, object frame.
        drawn: (5000,) positions in the list of mask pixels inside the crop.
    """
    box = square_box(mask)
    part = (slice(box[0], box[1]), slice(box[2], box[3]))
    pixels = np.flatnonzero(mask[part])[drawn]
    flat = crop_to_input(pixels, (box[1] - box[0], box[3] - box[2]))
    return CropInput(crop_image(rgb, mask, box), flat, points_obj[part].reshape(-1, 3)[pixels])
