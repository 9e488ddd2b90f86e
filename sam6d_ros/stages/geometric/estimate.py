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
from sam6d_ros.types import Candidates, Detection, Detections, InstanceCandidates, Scene

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
    ) -> Candidates:
        """Return the best hypotheses of each detection that shows enough measured depth."""
        maps = scene.derived(scene_maps)
        by_name = {model.name: model for model in objects}
        found = [
            self._candidates(maps, detection, by_name[detection.class_id])
            for detection in detections.items
            if detection.class_id in by_name
        ]
        items = tuple(candidates for candidates in found if candidates is not None)
        return Candidates(items, "" if items else "no detection has enough measured depth")

    def _candidates(
        self, scene: SceneMaps, detection: Detection, model: ObjectModel
    ) -> InstanceCandidates | None:
        hints = detection.pose_hints
        region = np.ones(len(hints), np.int64)  # the mask's own label
        hinted = Hypotheses.from_poses(hints, np.ones(len(hints)), region)
        labels = _grown(detection.mask, scene)
        kit = kit_of(model, self._context).seen_in(scene)
        found = find_candidates(scene, labels, kit, EFFORT, hinted)
        if not len(found):
            return None
        best = found.take(np.arange(min(len(found), CANDIDATES_PER_DETECTION)))
        name, instance_id = model.name, detection.instance_id
        return InstanceCandidates(name, instance_id, best.poses, best.score, detection.mask)


def _grown(mask: NDArray[np.bool_], scene: SceneMaps) -> NDArray[np.int32]:
    small = at_working_size(mask, scene).astype(np.uint8)
    return cv2.dilate(small, np.ones((2 * MASK_GROWTH_PX + 1,) * 2, np.uint8)).astype(np.int32)
