"""Candidate poses for each detection: the full search, inside its mask only."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.stages.geometric.candidates import SearchEffort, find_candidates
from sam6d_ros.stages.geometric.hypotheses import Hypotheses
from sam6d_ros.stages.geometric.kit import kit_of
from sam6d_ros.stages.geometric.scene import SceneMaps, at_working_size, scene_maps
from sam6d_ros.stages.library import BuildContext
from sam6d_ros.types import Detection, Detections, PoseEstimate, PoseEstimates, Scene

EFFORT = SearchEffort(fitted=300, compared=80)
CANDIDATES_PER_DETECTION = 4
MASK_GROWTH_PX = 3  # a detector's mask may miss the rim


class TemplateEstimator:
    """Places every view on the points of each mask and keeps the poses that compare best."""

    def __init__(self, context: BuildContext) -> None:
        self._context = context

    def prepare(self, model: ObjectModel) -> None:
        """Render the object's views, or take them from the cache."""
        kit_of(model, self._context)

    def estimate(
        self, scene: Scene, detections: Detections, objects: Sequence[ObjectModel]
    ) -> PoseEstimates:
        """Several candidates per detection, told apart by ``instance_id`` (the detection's)."""
        frame, maps = scene.frame, scene.derived(scene_maps)
        by_name = {model.name: model for model in objects}
        found = [
            pose
            for detection in detections.items
            if detection.class_id in by_name
            for pose in self._candidates(maps, detection, by_name[detection.class_id])
        ]
        if not found:
            return PoseEstimates.empty(frame, "no detection has enough measured depth")
        return PoseEstimates(tuple(found), frame.stamp_ns, frame.frame_id)

    def _candidates(
        self, scene: SceneMaps, detection: Detection, model: ObjectModel
    ) -> list[PoseEstimate]:
        hints = detection.pose_hints
        region = np.ones(len(hints), np.int64)  # the mask's own label
        hinted = Hypotheses.from_poses(hints, np.ones(len(hints)), region)
        labels = _grown(detection.mask, scene)
        found = find_candidates(scene, labels, kit_of(model, self._context), EFFORT, hinted)
        best = found.take(np.arange(min(len(found), CANDIDATES_PER_DETECTION)))
        return [
            PoseEstimate(
                model.name,
                float(score),
                pose,
                mask=detection.mask,
                instance_id=detection.instance_id,
            )
            for pose, score in zip(best.poses, best.score, strict=True)
        ]


def _grown(mask: NDArray[np.bool_], scene: SceneMaps) -> NDArray[np.int32]:
    small = at_working_size(mask, scene).astype(np.uint8)
    return cv2.dilate(small, np.ones((2 * MASK_GROWTH_PX + 1,) * 2, np.uint8)).astype(np.int32)
