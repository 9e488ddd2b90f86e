"""Appearance memory of tracks: surface points and their L*a*b* colours in earlier frames."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import project
from sam6d_ros.stages.geometric.track_view import Window
from sam6d_ros.stages.kernels.inputs import MovingPose
from sam6d_ros.stages.kernels.track_color import place_samples

Array = NDArray[np.float64]

MAX_SAMPLES = 700
MIN_SAMPLES = 40  # fewer do not show where a pattern is
TURN = np.radians(12)  # radians: beyond it colours are sampled again, for the light differs
NEARER = 1.2  # likewise when the distance has changed by this factor, and with it the detail
MORE = 1.5  # likewise when so many times more of the surface is seen
MAX_INSTANCES = 512  # of all sessions of a server; 17 KB each


@dataclass(frozen=True)
class Appearance:
    """Colours seen on an instance.

    Attributes:
        points: (K, 3) float32 surface points, object frame, metres.
        lab: (K, 3) float32 their colours in the image.
        cam_from_obj: (4, 4) pose at which they were seen.
    """

    points: NDArray[np.float32]
    lab: NDArray[np.float32]
    cam_from_obj: Array

    @classmethod
    def none(cls) -> Appearance:
        """Return the appearance of an unknown instance: no colour."""
        return cls(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32), np.eye(4))

    def outdated(self, newer: Appearance) -> bool:
        """Return whether newer colours should replace these.

        Args:
            newer: colours of a newer frame.
        """
        if len(newer.points) < MIN_SAMPLES:
            return False
        before, now = self.cam_from_obj, newer.cam_from_obj
        ratio = now[2, 3] / before[2, 3] if len(self.points) else np.inf
        turn = float(se3.rotation_angle(before[:3, :3], now[:3, :3]))
        grown = len(newer.points) > MORE * len(self.points)
        return grown or turn > TURN or not 1 / NEARER < ratio < NEARER


def appearance_in(
    window: Window, points: NDArray[np.float32], cam_from_obj: Array, tolerance: float
) -> Appearance:
    """Return the colours of the window at surface points whose depth agrees.

    Args:
        window: part of the frame.
        points: (N, 3) float32 metres, object frame.
        cam_from_obj: (4, 4) pose.
        tolerance: largest deviation of the depth, metres.
    """
    camera, (x0, y0, width, height) = window.scene.camera, window.roi_xywh
    at, matched = np.empty((len(points), 3)), np.empty(len(points), np.bool_)
    pose = MovingPose(
        np.ascontiguousarray(cam_from_obj[:3, :3]), np.ascontiguousarray(cam_from_obj[:3, 3]),
        np.zeros(3),
    )  # fmt: skip
    place_samples(window.maps, points, pose, tolerance, at, matched)
    shown = np.flatnonzero(matched)
    shown = shown[:: max(1, -(-len(shown) // MAX_SAMPLES))]
    if len(shown) == 0:
        return Appearance.none()
    pixels = project(camera, at[shown]).astype(np.float32)
    part = window.scene.lab[y0 : y0 + height, x0 : x0 + width]
    u, v = (pixels - np.array([x0, y0], np.float32)).T
    lab = cv2.remap(part, u[None], v[None], cv2.INTER_LINEAR)[0]
    return Appearance(np.ascontiguousarray(points[shown]), np.ascontiguousarray(lab), cam_from_obj)


class AppearanceMemory:
    """Appearance by the name of the instance; the longest unused ones are removed."""

    def __init__(self) -> None:
        self._by_name: OrderedDict[str, Appearance] = OrderedDict()

    def of(self, name: str) -> Appearance:
        """Return the colours of an instance.

        Args:
            name: instance id.
        """
        if name in self._by_name:
            self._by_name.move_to_end(name)
        return self._by_name.get(name, Appearance.none())

    def learn(self, name: str, newer: Appearance) -> None:
        """Store newer colours if the known ones are outdated.

        Args:
            name: instance id.
            newer: colours of a newer frame.
        """
        if self.of(name).outdated(newer):
            self._by_name[name] = newer
            if len(self._by_name) > MAX_INSTANCES:
                self._by_name.popitem(last=False)
