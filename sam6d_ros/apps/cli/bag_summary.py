"""poses.json and poses.csv of many frames."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.exchange import pose_as_json
from sam6d_ros.geometry import se3
from sam6d_ros.json_text import json_text
from sam6d_ros.types import Frame, PoseEstimate, PoseEstimates

COLUMNS = (
    *("stamp_ns", "frame_id", "name", "instance_id", "score"),
    *("x", "y", "z", "qx", "qy", "qz", "qw", "reason", "total_s"),
)
CONVENTION = (
    "cam_from_obj: p_cam = R p_obj + t; metres; camera optical frame (x right, y down, z forward); "
    "p_obj in metres in the CAD frame"
)


class BagSummary:
    """Rows of a CSV as they come, and a JSON file at the end; use it in a ``with``.

    A frame without a pose has one row with the reason. Masks are in the bag, not in the JSON.

    Args:
        folder: to write into.
    """

    def __init__(self, folder: Path, bag: Path, models: Sequence[ObjectModel]) -> None:
        self._folder, self._bag = folder, bag
        self._models = {model.name: model for model in models}
        self._entries: list[dict[str, Any]] = []
        self.poses = 0

    @property
    def frames(self) -> int:
        """Number of frames that were added."""
        return len(self._entries)

    def add(self, frame: Frame, poses: PoseEstimates) -> None:
        """Add the poses of one frame."""
        self.poses += len(poses)
        total_s = f"{poses.timings_s.get('total', 0.0):.4f}"
        shared = [frame.stamp_ns, frame.frame_id]
        for pose in poses.items:
            self._rows.writerow([*shared, *pose_row(pose), "", total_s])
        if not len(poses):
            self._rows.writerow([*shared, *[""] * 10, poses.reason, total_s])
        self._entries.append(
            {
                "stamp_ns": frame.stamp_ns,
                "frame_id": frame.frame_id,
                "poses": [self._without_mask(pose) for pose in poses.items],
                "reason": poses.reason,
                "timings_s": {stage: round(s, 4) for stage, s in poses.timings_s.items()},
            }
        )

    def _without_mask(self, pose: PoseEstimate) -> dict[str, Any]:
        values = pose_as_json(pose, self._models[pose.class_id])
        return {key: value for key, value in values.items() if key != "mask"}

    def __enter__(self) -> BagSummary:
        self._file = (self._folder / "poses.csv").open("w", newline="", encoding="utf-8")
        self._rows = csv.writer(self._file)
        self._rows.writerow(COLUMNS)
        return self

    def __exit__(self, *error: object) -> None:
        """Write the JSON, whatever happened: what is done is worth keeping."""
        self._file.close()
        values = {"convention": CONVENTION, "bag": str(self._bag), "frames": self._entries}
        (self._folder / "poses.json").write_text(json_text(values), encoding="utf-8")


def pose_row(pose: PoseEstimate) -> list[Any]:
    """Name, id, score, x, y, z in metres, quaternion xyzw."""
    position, quaternion = pose.cam_from_obj[:3, 3], se3.quat_xyzw(pose.cam_from_obj)
    numbers = [f"{value:.6f}" for value in (*position, *quaternion)]
    return [pose.class_id, pose.instance_id, f"{pose.score:.4f}", *numbers]
