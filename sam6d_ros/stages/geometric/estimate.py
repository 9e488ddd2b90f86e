"""Estimator of the geometric backend: candidate poses of each detection.

A detection of the scorer brings its poses. A mask from elsewhere is searched like a region.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.stages.geometric.evidence import Evidence, evidence
from sam6d_ros.stages.geometric.flow import Checkpoint, Search
from sam6d_ros.stages.geometric.gauss_newton import improved
from sam6d_ros.stages.geometric.hypotheses import Hypotheses
from sam6d_ros.stages.geometric.instances import instances_of
from sam6d_ros.stages.geometric.judge import shipped_judge
from sam6d_ros.stages.geometric.kit import ObjectKit, kit_of
from sam6d_ros.stages.geometric.scene import SceneMaps, at_working_size
from sam6d_ros.stages.geometric.seeds import seeds_in
from sam6d_ros.stages.kernels.threads import in_threads
from sam6d_ros.stages.library import BuildContext
from sam6d_ros.types import Candidates, Detection, Detections, InstanceCandidates, Scene

MASK_GROWTH_PX = 3  # a detector's mask may miss the rim
HINT_RAYS = 1200


class TemplateEstimator:
    """Refines the poses that a detection brings, or places every view on the points of its mask."""

    def __init__(self, context: BuildContext) -> None:
        self._context = context

    def prepare(self, model: ObjectModel) -> None:
        """Render the views of the object, or load them from the cache.

        Args:
            model: the object.
        """
        kit_of(model, self._context)

    def estimate(
        self, scene: Scene, detections: Detections, objects: Sequence[ObjectModel]
    ) -> Candidates:
        """Return the best hypotheses of each detection that shows enough measured depth.

        Args:
            scene: the frame.
            detections: instances with masks.
            objects: models of the detected classes.
        """
        view = scene.derived(evidence)
        kits = {model.name: kit_of(model, self._context).seen_in(view.scene) for model in objects}
        known = [item for item in detections.items if item.class_id in kits]
        found = in_threads(
            lambda item: _candidates(view, item, kits[item.class_id], scene.checkpoint), known
        )
        items = tuple(candidates for candidates in found if candidates is not None)
        return Candidates(items, "" if items else "no detection has enough measured depth")


def _candidates(
    view: Evidence, detection: Detection, kit: ObjectKit, checkpoint: Checkpoint
) -> InstanceCandidates | None:
    """Return the hypotheses of one detection, or None if there is none."""
    checkpoint()
    labels = _grown(detection.mask, view.scene)
    maps = view.maps(labels)
    name, instance_id = kit.model.name, detection.instance_id
    if len(hints := detection.pose_hints):
        region = np.ones(len(hints), np.int64)
        start = Hypotheses.from_poses(hints, np.zeros(len(hints)), region)
        refined = improved(view, maps, kit, start, HINT_RAYS)
        score = np.clip(refined.score, 0, 1).astype(float)
        return InstanceCandidates(name, instance_id, refined.poses, score, detection.mask)
    search = Search(view, maps, kit, checkpoint=checkpoint)
    found, features = search.run(seeds_in(view.scene, labels, kit))
    probability = shipped_judge().probability(features.values)
    best = instances_of(view, kit, found, probability, 1)
    if not best:
        return None
    poses, score = best[0].poses, best[0].probability
    return InstanceCandidates(name, instance_id, poses, score, detection.mask)


def _grown(mask: NDArray[np.bool_], scene: SceneMaps) -> NDArray[np.int32]:
    small = at_working_size(mask, scene).astype(np.uint8)
    return cv2.dilate(small, np.ones((2 * MASK_GROWTH_PX + 1,) * 2, np.uint8)).astype(np.int32)
