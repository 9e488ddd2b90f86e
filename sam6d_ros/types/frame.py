"""RGB-D frames, and what the stages derive from one."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidFrame
from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.geometry.depth_gaps import bridge_gaps

T = TypeVar("T")

# Farther than any robot camera measures; more means that millimetres were taken for metres.
MAX_PLAUSIBLE_DEPTH_M = 100.0


@dataclass(frozen=True, eq=False)  # equal is only the same frame: it is a key of caches
class Frame:
    """One registered RGB-D frame.

    Attributes:
        rgb: (H, W, 3) uint8, RGB.
        depth: (H, W) float32, metres along z, 0 where there is no measurement.
        camera: intrinsics of both images (depth is registered to colour).
        stamp_ns: time of capture in nanoseconds.
        frame_id: name of the camera optical frame.

    Raises:
        InvalidFrame: shapes or types disagree, depth is not finite, or looks like millimetres.
    """

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    camera: CameraIntrinsics
    stamp_ns: int = 0
    frame_id: str = "camera_optical_frame"

    def __post_init__(self) -> None:
        size = (self.camera.height, self.camera.width)
        if self.rgb.ndim != 3 or self.rgb.shape[2] != 3 or self.rgb.dtype != np.uint8:
            raise InvalidFrame(
                f"rgb is {self.rgb.shape} {self.rgb.dtype}; expected (H, W, 3) uint8"
            )
        if self.depth.shape != self.rgb.shape[:2]:
            raise InvalidFrame(
                f"depth is {self.depth.shape} but rgb is {self.rgb.shape}; "
                "use the depth image registered to colour (aligned_depth_to_color)"
            )
        if self.depth.shape != size:
            raise InvalidFrame(
                f"images are {self.depth.shape} but the intrinsics are for {size} (height, width); "
                "give those of this colour image"
            )
        if self.depth.dtype != np.float32:
            raise InvalidFrame(f"depth is {self.depth.dtype}; expected float32 metres")
        # NaN passes through min and max, and both cost little: every frame comes through here.
        low, high = self.depth.min(initial=0), self.depth.max(initial=0)
        if not (low >= 0 and high < np.inf):
            raise InvalidFrame(
                "depth has NaN, infinite or negative values; mark invalid pixels by 0"
            )
        if high > MAX_PLAUSIBLE_DEPTH_M:
            typical = np.median(self.depth[self.depth > 0])
            if typical > MAX_PLAUSIBLE_DEPTH_M:
                raise InvalidFrame(
                    f"median depth is {typical:.0f} m; is the image in millimetres? "
                    "divide by 1000 (depth_scale)"
                )

    @property
    def has_depth(self) -> bool:
        """Whether any pixel carries a measurement."""
        return bool(self.depth.any())


def _go_on() -> None:
    """Go on: the work cannot be ended."""


class Scene:
    """One frame and what the stages derive from it, computed once and freed with the scene.

    Args:
        frame: the frame.

    Attributes:
        frame: the same, with gaps of registered depth bridged (``geometry.depth_gaps``).
        checkpoint: called by stages between pieces of work; raises to end the work there.
    """

    def __init__(self, frame: Frame) -> None:
        self.checkpoint: Callable[[], None] = _go_on
        depth = bridge_gaps(frame.depth)
        self.frame = frame if depth is frame.depth else replace(frame, depth=depth)
        self._derived: dict[Callable[[Frame], Any], Any] = {}
        self._lock = threading.RLock()

    @classmethod
    def of(cls, frame: Frame | Scene) -> Scene:
        """Return the scene of a frame; a scene is returned as it is.

        Args:
            frame: the image, or its scene.
        """
        return frame if isinstance(frame, Scene) else cls(frame)

    def with_checkpoint(self, checkpoint: Callable[[], None]) -> Scene:
        """Return the same scene, sharing what is derived, for work that can be ended.

        Args:
            checkpoint: of the work; any thread may call it.
        """
        scene = copy.copy(self)
        scene.checkpoint = checkpoint
        return scene

    def derived(self, build: Callable[[Frame], T]) -> T:
        """Return ``build(frame)``, computed at the first call; other threads wait for it.

        Args:
            build: a function at module level, which identifies the value.
        """
        with self._lock:
            if build not in self._derived:
                self._derived[build] = build(self.frame)
            value: T = self._derived[build]
        return value
