"""Instances at rest in a fixed frame, kept while a moving camera does not see them.

Each instance keeps its poses from viewpoints that differ; their fusion is its pose. It is dropped
once the camera has looked through its place in several frames, or after a time without a view.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.errors import InvalidConfig
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.raycast import RayScene
from sam6d_ros.geometry.units import NS_PER_S
from sam6d_ros.runtime.fusion import fuse
from sam6d_ros.runtime.sight import Judge, Sight, View
from sam6d_ros.runtime.views import in_fixed_frame
from sam6d_ros.types import Frame, PoseEstimate, PoseEstimates

Array = NDArray[np.float64]

MOST_VIEWS = 12  # poses that each instance keeps; the oldest one is dropped
NEW_VIEW_M, NEW_VIEW_RAD = 0.05, np.deg2rad(8.0)  # camera motion that makes another viewpoint
FORGOTTEN_AFTER = 3  # consecutive frames that look through the place
SAME_PLACE_DIAMETERS = 0.25


@dataclass(frozen=True)
class BufferedInstance:
    """One instance.

    Attributes:
        pose: estimate whose ``cam_from_obj`` and covariance are in the fixed frame, metres.
        views: number of viewpoints that it was seen from.
        seen_ns: stamp of the last frame with it.
    """

    pose: PoseEstimate
    views: int
    seen_ns: int


@dataclass
class _Entry:
    poses: list[PoseEstimate]
    cameras: list[Array]
    seen_ns: int
    views: int = 1
    contradicted: int = 0
    fused: PoseEstimate = field(init=False)

    def __post_init__(self) -> None:
        self.fused = self.poses[-1]


class PoseBuffer:
    """Buffer of instances; to be used by one thread.

    Args:
        max_age_s: time without a view after which an instance is dropped.

    Raises:
        InvalidConfig: ``max_age_s`` is not positive.
    """

    def __init__(self, max_age_s: float) -> None:
        if not max_age_s > 0:
            raise InvalidConfig(f"max_age_s is {max_age_s:g}; expected more than 0")
        self._max_age_ns = int(max_age_s * NS_PER_S)
        self._entries: dict[str, _Entry] = {}
        self._scenes: dict[str, tuple[ObjectModel, RayScene]] = {}

    def update(
        self,
        frame: Frame,
        poses: PoseEstimates,
        fixed_from_cam: Array,
        models: Mapping[str, ObjectModel],
    ) -> list[BufferedInstance]:
        """Take in one frame.

        Args:
            frame: the RGB-D frame.
            poses: its instances, each with an id; those that are not confirmed are left out.
            fixed_from_cam: (4, 4) pose of the camera, metres.
            models: the objects by name; instances of others are dropped.

        Returns:
            All instances in the buffer, best score first.

        Raises:
            InvalidInput: the pose of the camera is no rigid transform.
        """
        camera = se3.check_rigid(fixed_from_cam, "fixed_from_cam")
        seen = [
            in_fixed_frame(pose, camera)
            for pose in poses.items
            if pose.confirmed and pose.class_id in models
        ]
        for pose in seen:
            self._see(pose, camera, frame.stamp_ns, models[pose.class_id])
        judge = Judge(View(frame, poses, camera), camera, np.eye(4))
        names = {pose.instance_id for pose in seen}
        for name, entry in [*self._entries.items()]:
            if name not in names and self._is_gone(entry, judge, frame.stamp_ns, models):
                del self._entries[name]
        found = [BufferedInstance(e.fused, e.views, e.seen_ns) for e in self._entries.values()]
        return sorted(found, key=lambda one: -one.pose.score)

    def clear(self) -> None:
        """Drop all instances."""
        self._entries.clear()

    def _see(self, pose: PoseEstimate, camera: Array, stamp_ns: int, model: ObjectModel) -> None:
        entry = self._entries.get(pose.instance_id) or self._found_again(pose, model)
        if entry is None:
            self._entries[pose.instance_id] = _Entry([pose], [camera], stamp_ns)
            return
        if _is_another_view(entry.cameras[-1], camera):
            entry.views += 1
            entry.poses = [*entry.poses, pose][-MOST_VIEWS:]
            entry.cameras = [*entry.cameras, camera][-MOST_VIEWS:]
        else:  # frames of one place are not independent: the newest stands for them
            entry.poses[-1] = pose
        entry.seen_ns, entry.contradicted = stamp_ns, 0
        frames = [PoseEstimates((one,), i, "fixed") for i, one in enumerate(entry.poses)]
        best = fuse(frames, {model.name: model}).items[0]
        entry.fused = replace(best, instance_id=pose.instance_id)

    def _found_again(self, pose: PoseEstimate, model: ObjectModel) -> _Entry | None:
        """Return the entry of an instance that has come back under another id."""
        reach = SAME_PLACE_DIAMETERS * model.diameter
        place = pose.cam_from_obj @ model.obj_from_box
        for name, entry in self._entries.items():
            there = entry.fused.cam_from_obj @ model.obj_from_box
            near = np.linalg.norm((place - there)[:3, 3]) < reach
            if near and entry.fused.class_id == pose.class_id:
                self._entries[pose.instance_id] = self._entries.pop(name)
                return entry
        return None

    def _is_gone(
        self, entry: _Entry, judge: Judge, now_ns: int, models: Mapping[str, ObjectModel]
    ) -> bool:
        """Whether an instance that this frame has not found is to be dropped."""
        name = entry.fused.class_id
        if name not in models or now_ns - entry.seen_ns > self._max_age_ns:
            return True
        model, scene = self._scenes.get(name, (None, None))
        if scene is None or model is not models[name]:
            model, scene = models[name], RayScene(models[name].vertices, models[name].faces)
            self._scenes[name] = (model, scene)
        sight = judge.sight(entry.fused.cam_from_obj, model, scene)
        if sight is not Sight.HIDDEN:
            entry.contradicted = entry.contradicted + 1 if sight is Sight.CONTRADICTED else 0
        return entry.contradicted >= FORGOTTEN_AFTER


def _is_another_view(before: Array, now: Array) -> bool:
    shift = float(np.linalg.norm(now[:3, 3] - before[:3, 3]))
    turn = float(se3.rotation_angle(now[:3, :3], before[:3, :3]))
    return shift > NEW_VIEW_M or turn > NEW_VIEW_RAD
