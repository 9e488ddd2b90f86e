"""From images and masks to the inputs of the pose network, with the arithmetic of the original."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.geometry.camera import CameraIntrinsics, back_project_pixels
from sam6d_ros.types import mask_box

INPUT_SIZE = 224
OBSERVED_POINTS = 2048
TEMPLATE_POINTS = 5000  # per view
MIN_MASK_PIXELS = 32  # a mask must have more
MIN_CLOUD_POINTS = 4
RADIUS_FACTOR = 1.2  # points farther from the cloud's mean than this × radius are outliers

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class CropInput:
    """Input of the pose network for one view.

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
    """Return the square around a mask, shifted to lie inside the image.

    The side is twice the half side, so an odd side loses one row and column and mask pixels can
    be cut off: the weights were trained on such crops.

    Args:
        mask: (H, W) bool, not empty.

    Returns:
        Row0, row1, column0, column1; the ends are exclusive.
    """
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return _square((rows[0], rows[-1] + 1, cols[0], cols[-1] + 1), mask.shape)


def _square(box: Box, image_hw: tuple[int, ...]) -> Box:
    height, width = image_hw
    row0, row1, col0, col1 = box
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
    """Convert flat pixels of the crop to flat pixels of the 224×224 input.

    The product with 224/size is rounded down in float64; integer division would differ for 58
    crop sizes.

    Args:
        flat: (N,) pixels, row · width + column, of the crop.
        crop_hw: height and width of the crop, pixels.

    Returns:
        (N,) pixels of the input.
    """
    row, col = flat // crop_hw[1], flat % crop_hw[1]
    row_in = np.floor(row * (INPUT_SIZE / crop_hw[0]))
    col_in = np.floor(col * (INPUT_SIZE / crop_hw[1]))
    return (row_in * INPUT_SIZE + col_in).astype(np.int64)


def crop_image(rgb: NDArray[np.uint8], mask: NDArray[np.bool_], box: Box) -> NDArray[np.uint8]:
    """Return the crop of the network: black outside the mask, bilinearly resized.

    Args:
        rgb: (H, W, 3) uint8.
        mask: (H, W) bool.
        box: of :func:`square_box`.

    Returns:
        (224, 224, 3) uint8, BGR.
    """
    part = (slice(box[0], box[1]), slice(box[2], box[3]))
    bgr = rgb[part][..., ::-1] * mask[part][..., None]
    size = (INPUT_SIZE, INPUT_SIZE)
    resized = cv2.resize(np.ascontiguousarray(bgr), size, interpolation=cv2.INTER_LINEAR)
    return resized.astype(np.uint8, copy=False)


def masked_cloud(
    depth: NDArray[np.float32], camera: CameraIntrinsics, mask: NDArray[np.bool_], radius: float
) -> MaskedCloud | None:
    """Select the points of a mask near their mean.

    Reads the image in the mask's box alone.

    Args:
        depth: (H, W) float32 metres, 0 = no measurement.
        camera: of the depth.
        mask: (H, W) bool.
        radius: largest distance of a model point from the object's origin, metres.

    Returns:
        The points with their pixels; None if there are too few.
    """
    x0, y0, width, height = mask_box(mask)
    tight = (slice(y0, y0 + height), slice(x0, x0 + width))
    inside = mask[tight] & (depth[tight] > 0)
    count = int(np.count_nonzero(inside))
    if count <= MIN_MASK_PIXELS:
        return None
    rows, cols = np.flatnonzero(inside.any(1)) + y0, np.flatnonzero(inside.any(0)) + x0
    box = _square((rows[0], rows[-1] + 1, cols[0], cols[-1] + 1), mask.shape)
    part = (slice(box[0], box[1]), slice(box[2], box[3]))
    z = np.asarray(depth[part], np.float32)
    flat = np.flatnonzero(mask[part] & (z > 0))
    v, u = np.divmod(flat, z.shape[1])
    v, u = ((a + first).astype(np.float32) for a, first in ((v, box[0]), (u, box[2])))
    cloud = back_project_pixels(camera, u, v, z.ravel()[flat])
    centre = cloud.mean(axis=0)
    near = np.linalg.norm(cloud - centre, axis=1) < radius * RADIUS_FACTOR
    if near.sum() < MIN_CLOUD_POINTS:
        return None
    return MaskedCloud(box, count, len(flat), centre, flat[near], cloud[near])


def draw(available: int, count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Draw positions, without repetition if there are more than needed.

    Args:
        available: number of positions.
        count: number of draws.
        random: generator.

    Returns:
        (count,) positions from 0 to ``available`` - 1.
    """
    return random.choice(available, count, replace=available <= count)


def observation_input(
    rgb: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    cloud: MaskedCloud,
    drawn: NDArray[np.integer],
) -> CropInput:
    """Return the network input of one detection.

    Args:
        rgb: (H, W, 3) uint8.
        mask: (H, W) bool, pixels of the detection with a depth (not filtered by radius).
        cloud: of :func:`masked_cloud`.
        drawn: (2048,) positions in ``cloud.points``.

    Returns:
        Image crop, points and their pixels.
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
    """Return the network input of one template view.

    Args:
        rgb: (H, W, 3) uint8.
        mask: (H, W) bool.
        points_obj: (H, W, 3) float32 metres, object frame.
        drawn: (5000,) positions in the list of mask pixels inside the crop.

    Returns:
        Image crop, points and their pixels.
    """
    box = square_box(mask)
    part = (slice(box[0], box[1]), slice(box[2], box[3]))
    pixels = np.flatnonzero(mask[part])[drawn]
    flat = crop_to_input(pixels, (box[1] - box[0], box[3] - box[2]))
    return CropInput(crop_image(rgb, mask, box), flat, points_obj[part].reshape(-1, 3)[pixels])
