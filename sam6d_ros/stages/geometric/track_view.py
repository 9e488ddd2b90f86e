"""Window of a frame around a track, and the rendered surface of its object."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import CameraIntrinsics, project
from sam6d_ros.stages.geometric.scene import SceneMaps, lab_of, normal_map, pinhole_of
from sam6d_ros.stages.kernels.inputs import TrackMaps, VisibleSurface
from sam6d_ros.types import Frame

MARGIN = 0.2  # of the object's size in the image, on each side
MARGIN_PX = 10
MAX_PIXELS = 7000  # of a window: a larger part of the image is reduced by a whole factor
MIN_SIDE_PX = 4
MAX_POINTS, MAX_BOUNDARY = 1500, 150  # of the surface and of its silhouette boundary
AROUND_PX = 2  # of the frame: blur and misregistration of the colours
FAR_M = np.float32(1e3)
BOUNDARY_BLUR_PX = 1.5
BLUR_PX = 1.0  # at the window's size


@dataclass(frozen=True)
class Window:
    """The part of a frame in which a track is expected.

    Attributes:
        scene: the frame, reduced by a whole factor, with depth, normals and colour in the window
            only: to prepare whole images would take longer than all the rest.
        maps: the same for the compiled loops, with the depth of the whole frame at full size and
            the range of the depth around each pixel.
        roi_xywh: the window in it, pixels.
    """

    scene: SceneMaps
    maps: TrackMaps
    roi_xywh: tuple[int, int, int, int]


def window_around(
    frame: Frame, model: ObjectModel, cam_from_obj: NDArray[np.float64]
) -> Window | None:
    """Return the part of the frame in which the object is expected; None outside the image.

    Args:
        frame: the image.
        model: the object.
        cam_from_obj: (4, 4) predicted pose.
    """
    pixels = project(frame.camera, se3.transform(cam_from_obj, model.box_corners))
    if np.isnan(pixels).any():
        return None
    low, high = pixels.min(0), pixels.max(0)
    margin = MARGIN * (high - low) + MARGIN_PX
    size = np.array([frame.camera.width, frame.camera.height])
    low, high = np.clip(low - margin, 0, size), np.clip(high + margin, 0, size)
    factor = max(1, int(np.ceil(np.sqrt(np.prod(high - low) / MAX_PIXELS))))
    (x0, y0), (x1, y1) = (low // factor).astype(int), (high // factor).astype(int)
    if min(x1 - x0, y1 - y0) < MIN_SIDE_PX:
        return None
    return _window_of(frame, (int(x0), int(y0), int(x1 - x0), int(y1 - y0)), factor)


def _window_of(frame: Frame, roi_xywh: tuple[int, int, int, int], factor: int) -> Window:
    x0, y0, columns, rows = roi_xywh
    whole, half = frame.camera, (factor - 1) / 2
    camera = CameraIntrinsics(
        whole.fx / factor, whole.fy / factor, (whole.cx - half) / factor,
        (whole.cy - half) / factor, whole.width // factor, whole.height // factor,
    )  # fmt: skip
    full = np.s_[factor * y0 : factor * (y0 + rows), factor * x0 : factor * (x0 + columns)]
    rgb, depth = frame.rgb[full], frame.depth[full]
    if factor > 1:  # depth must not be averaged across edges; colour must, or it aliases
        depth = depth[factor // 2 :: factor, factor // 2 :: factor]
        rgb = cv2.resize(rgb, (columns, rows), interpolation=cv2.INTER_AREA)
    shape, part = (camera.height, camera.width), np.s_[y0 : y0 + rows, x0 : x0 + columns]
    scene = SceneMaps(
        camera, np.zeros(shape, np.float32), np.zeros((*shape, 3), np.float32),
        np.zeros((*shape, 3), np.float32), 1 / factor,
    )  # fmt: skip
    depth = np.ascontiguousarray(depth)
    scene.depth[part] = depth
    scene.lab[part] = lab_of(np.ascontiguousarray(rgb), BLUR_PX)
    scene.normals[part] = normal_map(depth, camera, (x0, y0))
    nearest, farthest = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    side = 2 * max(1, -(-AROUND_PX // factor)) + 1
    around = np.ones((side, side), np.uint8)
    farthest[part] = cv2.dilate(depth, around)
    lowest = cv2.erode(np.where(depth > 0, depth, FAR_M), around)
    nearest[part] = np.where(lowest < FAR_M, lowest, 0)
    maps = TrackMaps(
        frame.depth, pinhole_of(whole), scene.normals, scene.lab, nearest, farthest,
        scene.pinhole,
    )  # fmt: skip
    return Window(scene, maps, roi_xywh)


def surface_seen(
    model: ObjectModel, window: Window, cam_from_obj: NDArray[np.float64]
) -> VisibleSurface:
    """Return a sample of the surface that the window's camera sees at a pose.

    Args:
        model: the object.
        window: part of the frame.
        cam_from_obj: (4, 4) pose.
    """
    view = model.scene.render(window.scene.camera, cam_from_obj, window.roi_xywh, colored=False)
    inner = cv2.erode(view.mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    at = _every(np.argwhere(inner), MAX_POINTS)
    boundary = _every(_boundary(view.mask & ~inner), MAX_BOUNDARY)
    soft = cv2.GaussianBlur(view.mask.astype(np.float32), (0, 0), BOUNDARY_BLUR_PX)
    slope = np.stack([cv2.Sobel(soft, -1, 1, 0)[boundary], cv2.Sobel(soft, -1, 0, 1)[boundary]], -1)
    outward = -slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-6)
    normals = view.normals_cam[at] @ cam_from_obj[:3, :3].astype(np.float32)
    points = view.points_obj
    return VisibleSurface(points[at], np.ascontiguousarray(normals), points[boundary], outward)


def _every(pixels_rc: NDArray[np.int64], most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """At most so many of the (N, 2) pixels, by equal steps, as rows and columns."""
    index = np.arange(min(len(pixels_rc), most)) * max(1.0, len(pixels_rc) / most)
    rows, columns = pixels_rc[index.astype(np.int64)].T
    return rows, columns


def _boundary(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Pixels (N, 2) of the mask off the edge of the window: where that cuts, nothing ends."""
    inside = mask.copy()
    inside[[0, -1]] = inside[:, [0, -1]] = False
    return np.argwhere(inside)
