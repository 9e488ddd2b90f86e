"""Depth of one view as evidence about instances that other views have found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import project
from sam6d_ros.geometry.raycast import RayScene
from sam6d_ros.types import Frame, PoseEstimates

Array = NDArray[np.float64]

SCALE = 0.25  # of the image in which visibility is judged
MIN_PIXELS = 12
MIN_MEASURED = 0.3  # smallest share of the silhouette with depth for a view to count
TOLERANCE_M, TOLERANCE_DIAMETERS = 0.008, 0.05
CONTRADICTED = 0.5  # share of the measured silhouette through which the camera looks


@dataclass(frozen=True)
class View:
    """One frame of a moving camera and what was found in it.

    Attributes:
        frame: the RGB-D frame; without it the view judges no instance that it has not found.
        estimates: its poses.
        fixed_from_cam: (4, 4) pose of the camera in the frame in which the objects rest, metres.
    """

    frame: Frame | None
    estimates: PoseEstimates
    fixed_from_cam: Array


class Sight(Enum):
    """Answer of a view about an instance that it may have missed."""

    HIDDEN = "out of the image, or something stands before it"
    VISIBLE = "the view should have found it"
    CONTRADICTED = "the camera looks through its place"


class Judge:
    """Evidence of one view about instances given in the camera of the last one.

    Args:
        view: the view.
        fixed_from_cam: (4, 4) its camera, metres.
        fixed_from_last: (4, 4) the last camera, metres.
    """

    def __init__(self, view: View, fixed_from_cam: Array, fixed_from_last: Array) -> None:
        self._cam_from_last = se3.inverse(fixed_from_cam) @ fixed_from_last
        frame = view.frame
        self._frame = frame
        self._camera = None if frame is None else frame.camera.scaled(SCALE)
        if frame is not None and self._camera is not None:
            size = (self._camera.width, self._camera.height)
            self._depth = cv2.resize(frame.depth, size, interpolation=cv2.INTER_NEAREST)

    def sight(self, last_from_obj: Array, model: ObjectModel, scene: RayScene) -> Sight:
        """Return whether the view could see an instance.

        Args:
            last_from_obj: (4, 4) its pose in the last camera, metres.
            model: its object.
            scene: mesh of the object.
        """
        cam_from_obj = self._cam_from_last @ last_from_obj
        camera = self._camera
        if camera is None or cam_from_obj[2, 3] <= model.diameter / 2:
            return Sight.HIDDEN
        rendered = scene.depth(camera, cam_from_obj, (0, 0, camera.width, camera.height))
        both = (rendered > 0) & (self._depth > 0)
        silhouette = int((rendered > 0).sum())
        if silhouette < MIN_PIXELS or both.sum() < MIN_MEASURED * silhouette:
            return Sight.HIDDEN
        tolerance = _tolerance(model)
        behind = (self._depth - rendered)[both]
        if np.mean(behind < -tolerance) > 1 - MIN_MEASURED:
            return Sight.HIDDEN
        if np.mean(behind > tolerance) > CONTRADICTED:
            return Sight.CONTRADICTED
        return Sight.VISIBLE

    def agreement(self, last_from_obj: Array, model: ObjectModel, scene: RayScene) -> float | None:
        """Return the share of a silhouette that depth confirms, less that which it looks through.

        Pixels before which something stands count as neither.

        Args:
            last_from_obj: (4, 4) pose of the instance in the last camera, metres.
            model: its object.
            scene: mesh of the object.

        Returns:
            A value in [-1, 1]; None if the view measures too little of the silhouette.
        """
        frame, cam_from_obj = self._frame, self._cam_from_last @ last_from_obj
        if frame is None or cam_from_obj[2, 3] <= model.diameter / 2:
            return None
        corners = project(frame.camera, se3.transform(cam_from_obj, model.box_corners))
        size = np.array([frame.camera.width, frame.camera.height])
        if not np.isfinite(corners).all():
            return None
        low = np.clip(np.floor(corners.min(0)), 0, size).astype(int)
        high = np.clip(np.ceil(corners.max(0)) + 1, 0, size).astype(int)
        if (high - low).min() < 2:
            return None
        (x, y), (width, height) = low.tolist(), (high - low).tolist()
        rendered = scene.depth(frame.camera, cam_from_obj, (x, y, width, height))
        measured = frame.depth[y : y + height, x : x + width]
        both = (rendered > 0) & (measured > 0)
        behind = (measured - rendered)[both]
        tolerance = _tolerance(model)
        judged = behind[behind > -tolerance]
        if len(judged) < MIN_MEASURED * max(int((rendered > 0).sum()), MIN_PIXELS):
            return None
        return 1 - 2 * float(np.mean(judged > tolerance))


def _tolerance(model: ObjectModel) -> float:
    return max(TOLERANCE_M, TOLERANCE_DIAMETERS * model.diameter)
