"""How followed instances look: colours that earlier frames showed on their surface."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import project
from sam6d_ros.stages.geometric.track_color_kernel import place_spots
from sam6d_ros.stages.geometric.track_view import Window

Array = NDArray[np.float64]

MAX_SPOTS = 700
MIN_SPOTS = 40  # fewer do not tell where a pattern is
TURN = np.radians(12)  # from another side, colours are taken anew: lamp and surface have changed
NEARER = 1.2  # likewise when the distance has changed by this factor, and with it the detail
MORE = 1.5  # likewise when so many times more of the surface is seen
MAX_REMEMBERED = 512  # instances of all sessions of a server; 17 KB each


@dataclass(frozen=True)
class Looks:
    """Colours seen on an instance.

    Attributes:
        spots: (K, 3) float32 surface points, object frame, metres.
        lab: (K, 3) float32 their colours in the image.
        cam_from_obj: (4, 4) pose at which they were seen.
    """

    spots: NDArray[np.float32]
    lab: NDArray[np.float32]
    cam_from_obj: Array

    @classmethod
    def none(cls) -> Looks:
        """Nothing known."""
        return cls(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32), np.eye(4))

    def outdated(self, newer: Looks) -> bool:
        """Whether newer colours should take their place."""
        if len(newer.spots) < MIN_SPOTS:
            return False
        before, now = self.cam_from_obj, newer.cam_from_obj
        ratio = now[2, 3] / before[2, 3] if len(self.spots) else np.inf
        turn = float(se3.rotation_angle(before[:3, :3], now[:3, :3]))
        grown = len(newer.spots) > MORE * len(self.spots)
        return grown or turn > TURN or not 1 / NEARER < ratio < NEARER


def looks_in(
    window: Window, points: NDArray[np.float32], cam_from_obj: Array, tolerance: float
) -> Looks:
    """Colours that the window shows at surface points (N, 3) where the depth agrees."""
    camera, (x0, y0, width, height) = window.scene.camera, window.roi_xywh
    at, matched = np.empty((len(points), 3)), np.empty(len(points), np.bool_)
    place_spots(
        window.nearest, window.farthest, (camera.fx, camera.fy, camera.cx, camera.cy), points,
        np.ascontiguousarray(cam_from_obj[:3, :3]), np.ascontiguousarray(cam_from_obj[:3, 3]),
        tolerance, at, matched,
    )  # fmt: skip
    shown = np.flatnonzero(matched)
    shown = shown[:: max(1, -(-len(shown) // MAX_SPOTS))]
    if len(shown) == 0:
        return Looks.none()
    pixels = project(camera, at[shown]).astype(np.float32)
    part = window.scene.lab[y0 : y0 + height, x0 : x0 + width]
    u, v = (pixels - np.array([x0, y0], np.float32)).T
    lab = cv2.remap(part, u[None], v[None], cv2.INTER_LINEAR)[0]
    return Looks(np.ascontiguousarray(points[shown]), np.ascontiguousarray(lab), cam_from_obj)


class LooksMemory:
    """Looks by the name of the instance; the longest unused ones are forgotten."""

    def __init__(self) -> None:
        self._by_name: OrderedDict[str, Looks] = OrderedDict()

    def of(self, name: str) -> Looks:
        """What is known of an instance."""
        if name in self._by_name:
            self._by_name.move_to_end(name)
        return self._by_name.get(name, Looks.none())

    def learn(self, name: str, newer: Looks) -> None:
        """Take newer colours in where the known ones are outdated."""
        if self.of(name).outdated(newer):
            self._by_name[name] = newer
            if len(self._by_name) > MAX_REMEMBERED:
                self._by_name.popitem(last=False)
