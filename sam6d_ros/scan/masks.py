"""Pixels of the object in each frame: from files, or of a turntable before a standing camera."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidInput
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import back_project
from sam6d_ros.scan.motion import Frames
from sam6d_ros.scan.region import MIN_HEIGHT_M, MIN_POINTS, clusters, fit_plane, stand_frame
from sam6d_ros.types import Frame

Array = NDArray[np.float64]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
BELOW_M = 0.004
NEAR_AXIS_M = 0.5


def read_masks(folder: Path, shape: tuple[int, int], count: int) -> NDArray[np.bool_]:
    """Read one mask image per frame, in the order of their names; not 0 is the object.

    Returns:
        (N, H, W) bool.

    Raises:
        InvalidInput: another number or size than the frames have, or an unreadable file.
    """
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES)
    if len(files) != count:
        raise InvalidInput(
            f"{folder} has {len(files)} images; expected one mask for each of {count} frames"
        )
    out = np.zeros((count, *shape), bool)
    for index, path in enumerate(files):
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
        if image is None or image.shape != shape:
            size = "unreadable" if image is None else f"{image.shape[1]} x {image.shape[0]}"
            raise InvalidInput(f"{path} is {size}; expected {shape[1]} x {shape[0]} pixels")
        out[index] = image > 0
    return out


def turntable_masks(frames: Frames, radius_m: float) -> NDArray[np.bool_]:
    """Return the pixels (N, H, W) over a turntable: a disc on the plane under the object.

    The camera must stand still: all that stands around the disc is left out, since it does not
    move with the object.

    Raises:
        InvalidInput: there is no plane in the first frame.
    """
    first = frames.frame(0)
    stand_from_cam = _under_the_object(first)
    out = np.zeros((len(frames), *first.depth.shape), bool)
    for index in range(len(frames)):
        frame = frames.frame(index)
        seen = back_project(frame.camera, frame.depth).reshape(-1, 3)
        points = se3.transform(stand_from_cam, seen)
        inside = (np.hypot(points[:, 0], points[:, 1]) < radius_m) & (points[:, 2] > -BELOW_M)
        out[index] = (inside & (frame.depth.ravel() > 0)).reshape(frame.depth.shape)
    return out


def _under_the_object(frame: Frame) -> Array:
    """Return (4, 4) stand_from_cam below the thing nearest to the middle of the image.

    Raises:
        InvalidInput: there is no plane, or nothing stands on it.
    """
    cloud = back_project(frame.camera, frame.depth)[frame.depth > 0].astype(np.float64)[::4]
    ahead = np.array([0.0, 0.0, float(np.median(cloud[:, 2]))])
    cloud = cloud[np.linalg.norm(cloud - ahead, axis=1) < NEAR_AXIS_M]
    plane = fit_plane(cloud, np.zeros((1, 3)))
    local = se3.transform(stand_frame(plane, ahead), cloud)
    above = local[:, 2] > MIN_HEIGHT_M
    labels = clusters(local[above]) if above.sum() >= MIN_POINTS else np.full(0, -1)
    if not (labels >= 0).any():
        raise InvalidInput(
            f"nothing stands on the plane within {NEAR_AXIS_M} m of the image's middle in the "
            "first frame; expected the object on its turntable there"
        )
    largest = cloud[above][labels == np.bincount(labels[labels >= 0]).argmax()]
    return stand_frame(plane, largest.mean(0))
