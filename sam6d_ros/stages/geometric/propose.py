"""Class-agnostic regions of a depth image: what stands off the large planes."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.geometry.camera import back_project
from sam6d_ros.geometry.depth_noise import PLANE
from sam6d_ros.stages.geometric.evidence import noise_per_m2
from sam6d_ros.stages.geometric.scene import SceneMaps, resized, scene_maps
from sam6d_ros.types import Proposals, Scene

MAX_PLANES = 4
PLANE_SAMPLES = 4000  # pixels that vote
PLANE_TRIALS = 200  # one pixel with its normal makes one trial plane
PLANE_SHARE = 0.08  # of the measured pixels: smaller planes may be object faces
PLANE_EXTENT_M = 0.4  # likewise
MAX_FACE_M = 1.4  # of the largest objects, 1.5 m in diameter
PLANE_COS = 0.85
STEP_SIGMAS = 8.0  # of the sensor's noise: range of nine neighbours on a slanted surface
REGION_MIN_PX = 60
MAX_RANGE_M = 4.0  # consumer depth cameras measure centimetres wrong beyond
MAX_REGIONS = 128


class SegmentProposer:
    """Cuts the measured surface along large planes and depth steps."""

    def propose(self, scene: Scene) -> Proposals:
        """Return the connected regions off the dominant planes, largest first.

        Args:
            scene: the frame.
        """
        frame, maps = scene.frame, scene.derived(scene_maps)
        foreground = off_planes(maps)
        labels = split_at_depth_steps(maps.depth, foreground)
        if not (chosen := _largest(labels)):  # perhaps a large object with planes for sides
            labels = face_labels(maps, MAX_FACE_M, MAX_FACE_M)
            chosen = _largest(labels)
        if not chosen:
            return Proposals.empty(frame, "nothing stands off the dominant planes")
        size = frame.depth.shape[::-1]
        masks = [resized(labels == i, size) for i in chosen]
        fill = [mask.sum() / _box_area(mask) for mask in masks]
        # Things that touch are one region.
        return Proposals(np.stack(masks), np.array(fill, np.float32), merged=True)


def _largest(labels: NDArray[np.int32]) -> list[int]:
    """Return the numbers of the largest regions that are not too small, largest first."""
    counts = np.bincount(labels.ravel(), minlength=1)
    counts[0] = 0
    return [int(i) for i in np.argsort(-counts)[:MAX_REGIONS] if counts[i] >= REGION_MIN_PX]


def _box_area(mask: NDArray[np.bool_]) -> int:
    return int(np.ptp(np.flatnonzero(mask.any(0))) + 1) * int(
        np.ptp(np.flatnonzero(mask.any(1))) + 1
    )


def off_planes(scene: SceneMaps) -> NDArray[np.bool_]:
    """Return the measured pixels within range that lie on no large plane.

    Args:
        scene: maps of the frame.

    Returns:
        (H, W) bool.
    """
    return _in_range(scene) & (large_planes(scene) == 0)


def large_planes(scene: SceneMaps) -> NDArray[np.int32]:
    """Return the number of the large plane of each pixel (H, W), 0 = none.

    Args:
        scene: maps of the frame.
    """
    points = back_project(scene.camera, scene.depth)
    planes = np.zeros(scene.depth.shape, np.int32)
    remaining = _in_range(scene)
    total = remaining.sum()
    rng = np.random.default_rng(0)
    for number in range(1, MAX_PLANES + 1):
        plane = _largest_plane(points, scene.normals, remaining, rng)
        if plane is None:
            break
        on_plane = remaining & (np.abs(points @ plane[:3] + plane[3]) < PLANE.at(points[..., 2]))
        if on_plane.sum() < PLANE_SHARE * total:
            break
        if extents(points[on_plane])[1] < PLANE_EXTENT_M:  # a shelf edge is long, no support
            break
        planes[on_plane] = number
        remaining &= ~on_plane
    return planes


def face_labels(scene: SceneMaps, larger_m: float, smaller_m: float) -> NDArray[np.int32]:
    """Return the pieces (H, W) of large planes that may be faces of a large object, 0 = none.

    A piece that is larger than a face of these two sides is a floor or a wall. A plane that is the
    only one is the support.

    Args:
        scene: maps of the frame.
        larger_m: longer side of the face, metres.
        smaller_m: shorter side of the face, metres.
    """
    planes, points = large_planes(scene), back_project(scene.camera, scene.depth)
    out = np.zeros_like(planes)
    count = int(planes.max())
    for number in range(1, count + 1) if count > 1 else ():
        pieces = split_at_depth_steps(scene.depth, planes == number)
        for index in _largest(pieces):
            larger, smaller = extents(points[pieces == index])
            if larger <= larger_m and smaller <= smaller_m:
                out[pieces == index] = out.max() + 1
    return out


def _in_range(scene: SceneMaps) -> NDArray[np.bool_]:
    return (scene.depth > 0) & (scene.depth < MAX_RANGE_M)


def extents(points: NDArray) -> tuple[float, float]:
    """Return the larger and the smaller spread of a flat patch, metres.

    Args:
        points: (N, 3) metres.
    """
    axes = np.linalg.svd(np.cov(points[:: max(1, len(points) // 2000)].T))[0]
    low, high = np.percentile(points @ axes[:, :2], [2, 98], axis=0)
    small, large = np.sort(high - low)
    return float(large), float(small)


def _largest_plane(
    points: NDArray, normals: NDArray, remaining: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.float64] | None:
    """(nx, ny, nz, d) of the plane with the most pixels, refined by least squares."""
    usable = np.argwhere(remaining & (np.abs(normals).sum(-1) > 0))
    if len(usable) < REGION_MIN_PX:
        return None
    rows, cols = usable[rng.integers(len(usable), size=PLANE_SAMPLES)].T
    p, n = points[rows, cols].astype(float), normals[rows, cols].astype(float)
    trial_n, trial_p = n[:PLANE_TRIALS], p[:PLANE_TRIALS]
    offset = np.abs(p @ trial_n.T - (trial_n * trial_p).sum(1))
    near = (offset < PLANE.at(p[:, 2:])) & (n @ trial_n.T > PLANE_COS)
    inlier = near[:, near.sum(0).argmax()]
    for _ in range(2):
        centre = p[inlier].mean(0)
        normal = np.linalg.svd(p[inlier] - centre, full_matrices=False)[2][2]
        inlier = np.abs((p - centre) @ normal) < PLANE.at(p[:, 2])
    return np.append(normal, -normal @ centre)


def split_at_depth_steps(
    depth: NDArray[np.float32], foreground: NDArray[np.bool_]
) -> NDArray[np.int32]:
    """Return the connected components (H, W) that do not cross a step in depth, 0 = none.

    Args:
        depth: (H, W) metres, 0 = no measurement.
        foreground: (H, W) bool pixels to be split.
    """
    kernel = np.ones((3, 3), np.uint8)
    filled = np.where(depth > 0, depth, np.nan).astype(np.float32)
    high = cv2.dilate(np.nan_to_num(filled, nan=0.0), kernel)
    low = cv2.erode(np.nan_to_num(filled, nan=1e3), kernel)
    noise = STEP_SIGMAS * noise_per_m2(depth) * depth**2
    smooth = (high - low) < np.maximum(0.01 + 0.01 * depth, noise)
    solid = (foreground & smooth).astype(np.uint8)
    solid = cv2.morphologyEx(solid, cv2.MORPH_OPEN, kernel)
    return cv2.connectedComponents(solid, connectivity=4)[1]
