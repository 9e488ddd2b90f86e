"""Hands and other moving things: pixels that the fused surface does not explain."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.geometry import se3
from sam6d_ros.geometry.raycast import RayScene
from sam6d_ros.scan.take import ON_PLANE_M, Take, seen_part
from sam6d_ros.scan.tsdf import Surface

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

SCALE = 0.5  # of the image in which pixels are compared
BEFORE_M = 0.012  # before the surface: beyond noise and errors of the camera motion
NEIGHBOURS_PX = 7  # window around a pixel in which the surface may explain it
MIN_BLOB_PX = 60
MIN_SHARE = 0.02  # of the pixels inside the region; less is noise along the silhouette
GROWN_PX = 9


def without_moving(take: Take, surface: Surface) -> Take:
    """Return a take that leaves out what stands before the surface, or beside it in its region.

    Args:
        take: the recording.
        surface: thing and plane, in the frame of the first take.
    """
    scene = RayScene(surface.vertices, surface.faces)
    found = {int(index): _moving(take, int(index), scene) for index in take.motion.used}
    left_out = {index: flags for index, flags in found.items() if flags is not None}
    return replace(take, left_out=left_out) if left_out else take


def _moving(take: Take, index: int, scene: RayScene) -> Flags | None:
    """Return (H, W) pixels of moving things in one frame; None without any."""
    frame, depth = take.depth(index)
    camera = frame.camera.scaled(SCALE)
    size = (camera.width, camera.height)
    depth = np.asarray(cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST), np.float32)
    inside, height = take.inside(camera, depth, index)
    inside &= height > ON_PLANE_M
    total = int(inside.sum())
    if total == 0:
        return None
    cam_from_object = se3.inverse(take.object_from_cam(index))
    x, y, width, rows = seen_part(camera, se3.transform(cam_from_object, take.corners()))
    model = np.zeros_like(depth)
    model[y : y + rows, x : x + width] = scene.depth(camera, cam_from_object, (x, y, width, rows))
    kernel = np.ones((NEIGHBOURS_PX, NEIGHBOURS_PX), np.uint8)
    nearest = cv2.erode(np.where(model > 0, model, np.float32(1e3)).astype(np.float32), kernel)
    flags = _large(inside & (depth < nearest - BEFORE_M))
    if flags.sum() < MIN_SHARE * total or not flags.any():
        return None
    grown = cv2.dilate(flags.astype(np.uint8), np.ones((GROWN_PX, GROWN_PX), np.uint8))
    full = (frame.camera.width, frame.camera.height)
    return np.asarray(cv2.resize(grown, full, interpolation=cv2.INTER_NEAREST) > 0)


def _large(flags: Flags) -> Flags:
    """Return the pixels of large connected sets."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(flags.astype(np.uint8))
    large = np.flatnonzero(stats[:, cv2.CC_STAT_AREA] >= MIN_BLOB_PX)
    return np.isin(labels, large[large > 0])
