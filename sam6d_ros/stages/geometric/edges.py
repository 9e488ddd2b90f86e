"""Edges of a scene by direction: steps in depth, creases of the surface, edges of the image.

A silhouette is compared with the nearness of an edge of its own direction. Neither the depth nor
the image shows every border: equal parts in a bin touch at equal depth and have one colour.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.stages.kernels.inputs import EDGE_DIRECTIONS

Image = NDArray[np.float32]

SIGMA_PX = 1.5  # registration of depth and image, and half a cell of a rendering
IMAGE_WEIGHT = 0.8  # of an edge of the image: prints and shadows have edges, too
STEP_M, STEP_SIGMAS = 0.0015, 5.0  # smallest step in depth: metres, standard deviations
SLANT_FLOOR = 0.35  # cosine: a surface seen flatter than this has no reliable slope
SLANT_PX = 2.5  # extent of the neighbourhood in which a slope makes a difference in depth
CREASE = 0.09  # change of the normal per pixel
PEAK_SHARE = 0.9  # of the largest change nearby: the ridge of a crease, not its flanks
DIRECTION_WIDTH = np.radians(36)  # of an edge's direction: neighbours overlap
FAR_PX = 30.0
LARGE_STEP_M = 0.015  # at the border of a body: the image should have an edge there, too
NO_REGISTRATION = 0.3  # of a frame without such steps
CANNY_PERCENTILE, CANNY_RANGE, CANNY_LOW = 88, (25, 200), 0.45  # of the gradients; of the upper
AROUND = np.ones((3, 3), np.uint8)


class EdgeMaps(NamedTuple):
    """Edges of a scene, see ``kernels.inputs.Maps``."""

    edges: Image
    any_edge: Image
    steps: NDArray[np.bool_]


def edge_maps(
    depth: Image, normals: Image, lightness: Image, camera: CameraIntrinsics, noise_per_m2: float
) -> tuple[EdgeMaps, float]:
    """Compute the edge maps, and how well the steps in depth agree with edges of the image.

    Args:
        depth: (H, W) metres, 0 = no measurement.
        normals: (H, W, 3) unit normals over a small neighbourhood, 0 where unknown.
        lightness: (H, W) L*.
        noise_per_m2: standard deviation of the depth at 1 m, growing with the square of the range.
        camera: intrinsics of the maps.

    Returns:
        The maps, and the agreement in [0, 1].
    """
    hole = depth <= 0
    # An unmeasured seam belongs to what is behind it.
    filled = np.where(hole, cv2.dilate(depth, np.ones((5, 5), np.uint8)), depth)
    step, slope = _steps(filled, normals, camera, noise_per_m2)
    crease, bend = _creases(normals, hole)
    geometry = _nearness(step | crease, np.where(step, slope, bend))
    image = _nearness(*_image_edges(lightness))
    edges = np.maximum(geometry, IMAGE_WEIGHT * image)
    maps = EdgeMaps(edges, edges.max(0), cv2.dilate(step.astype(np.uint8), AROUND) > 0)
    return maps, _registration(filled, step, slope, image)


def _registration(filled: Image, step: NDArray[np.bool_], direction: Image, image: Image) -> float:
    """Return the mean nearness of an image edge of its direction over all large steps in depth.

    About 0.4 to 0.5 where depth and image agree to a pixel, 0.1 to 0.3 where they are displaced
    or the depth is coarse.
    """
    across = cv2.dilate(filled, AROUND) - cv2.erode(filled, AROUND)
    row, column = np.nonzero(step & (across > LARGE_STEP_M))
    if not len(row):
        return NO_REGISTRATION
    turn = direction[row, column] % np.pi / (np.pi / EDGE_DIRECTIONS)
    return float(image[np.rint(turn).astype(int) % EDGE_DIRECTIONS, row, column].mean())


def _steps(
    filled: Image, normals: Image, camera: CameraIntrinsics, noise_per_m2: float
) -> tuple[NDArray[np.bool_], Image]:
    """Return where the depth makes a step that no slope explains, and its direction."""
    across = cv2.dilate(filled, AROUND) - cv2.erode(filled, AROUND)
    cosine = np.maximum(np.abs(normals[..., 2]), SLANT_FLOOR)
    sloped = SLANT_PX * filled / camera.fx * np.sqrt(1 - cosine**2) / cosine
    least = np.maximum(STEP_M, STEP_SIGMAS * noise_per_m2 * filled * filled)
    gx, gy = cv2.Sobel(filled, cv2.CV_32F, 1, 0), cv2.Sobel(filled, cv2.CV_32F, 0, 1)
    return across > least + sloped, np.arctan2(gy, gx)


def _creases(normals: Image, hole: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], Image]:
    """Return the ridges of the change of the normal, and their direction."""
    smooth = cv2.GaussianBlur(normals, (0, 0), 1.0)
    dx, dy = cv2.Sobel(smooth, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(smooth, cv2.CV_32F, 0, 1) / 8
    xx, yy, xy = (dx * dx).sum(-1), (dy * dy).sum(-1), (dx * dy).sum(-1)
    change = np.sqrt(xx + yy)
    ridge = (change > CREASE) & ~hole & (change >= PEAK_SHARE * cv2.dilate(change, AROUND))
    return ridge, 0.5 * np.arctan2(2 * xy, xx - yy)  # structure tensor


def _image_edges(lightness: Image) -> tuple[NDArray[np.bool_], Image]:
    """Return the edges of the image (Canny, 1986), and their direction."""
    levels = np.clip(cv2.GaussianBlur(lightness, (0, 0), 0.5) * 2.55, 0, 255).astype(np.uint8)
    gx, gy = cv2.Sobel(levels, cv2.CV_16S, 1, 0), cv2.Sobel(levels, cv2.CV_16S, 0, 1)
    size = np.abs(gx.astype(np.float32)) + np.abs(gy)
    sloped = size[size > 0]
    upper = np.percentile(sloped, CANNY_PERCENTILE) if len(sloped) else 0.0
    upper = float(np.clip(upper, *CANNY_RANGE))
    found = cv2.Canny(gx, gy, CANNY_LOW * upper, upper) > 0
    return found, np.arctan2(gy.astype(np.float32), gx.astype(np.float32))


def _nearness(edge: NDArray[np.bool_], angle: Image) -> Image:
    """Return exp(-d² / 2σ²), d pixels from an edge, of each direction (EDGE_DIRECTIONS, H, W)."""
    out = np.zeros((EDGE_DIRECTIONS, *edge.shape), np.float32)
    for index in range(EDGE_DIRECTIONS):
        away = np.abs((angle - index * np.pi / EDGE_DIRECTIONS + np.pi / 2) % np.pi - np.pi / 2)
        mine = edge & (away < DIRECTION_WIDTH)
        if mine.any():
            distance = cv2.distanceTransform((~mine).astype(np.uint8), cv2.DIST_L2, 3)
            near = distance < 4 * SIGMA_PX
            out[index][near] = np.exp(-(distance[near] ** 2) / (2 * SIGMA_PX**2))
    return out
