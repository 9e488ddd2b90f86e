"""Objects of a planning scene: added, moved and removed ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.types import PoseEstimate


class Change(Enum):
    """Operation on an object in the scene; named as in moveit_msgs/CollisionObject."""

    ADD = "add"
    MOVE = "move"
    REMOVE = "remove"


@dataclass
class _Held:
    class_id: str
    seen_ns: int


@dataclass(frozen=True)
class SceneChange:
    """One change of the scene.

    Attributes:
        change: its kind.
        object_id: of the detection.
        class_id: of the object.
        frame_from_obj: (4, 4) in the scene's frame; the identity when it is removed.
    """

    change: Change
    object_id: str
    class_id: str
    frame_from_obj: NDArray[np.float64]


class SceneObjects:
    """Turns the poses of image after image into changes of a scene.

    Args:
        forget_s: an object that was not seen for so long, by the images' stamps, is removed.
    """

    def __init__(self, forget_s: float) -> None:
        self._forget_ns = round(forget_s * 1e9)
        self._held: dict[str, _Held] = {}
        self._newest_ns = 0

    def update(
        self,
        stamp_ns: int,
        poses: Sequence[PoseEstimate],
        frame_from_cam: NDArray[np.float64],
    ) -> list[SceneChange]:
        """The changes that an image makes. Stamps that go back (a bag's next round) start anew."""
        changes = self.clear() if stamp_ns < self._newest_ns else []
        self._newest_ns = stamp_ns
        for pose in poses:
            held = self._held.get(pose.instance_id)
            known = held is not None and held.class_id == pose.class_id
            self._held[pose.instance_id] = _Held(pose.class_id, stamp_ns)
            kind = Change.MOVE if known else Change.ADD
            frame_from_obj = frame_from_cam @ pose.cam_from_obj
            changes.append(SceneChange(kind, pose.instance_id, pose.class_id, frame_from_obj))
        return changes + self._remove(stamp_ns - self._forget_ns)

    def clear(self) -> list[SceneChange]:
        """Remove all."""
        return self._remove(self._newest_ns + 1)

    def add_again(self) -> None:
        """Add objects again at their next detection, for a new subscriber."""
        for held in self._held.values():
            held.class_id = ""

    def _remove(self, before_ns: int) -> list[SceneChange]:
        """Remove what was last seen before a time."""
        gone = [name for name, held in self._held.items() if held.seen_ns < before_ns]
        return [
            SceneChange(Change.REMOVE, name, self._held.pop(name).class_id, np.eye(4))
            for name in gone
        ]
