"""The refiner: look-alikes and local search, judged by render-and-compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.stages.geometric.compare import compare, explained_mask
from sam6d_ros.stages.geometric.covariance import pose_covariance
from sam6d_ros.stages.geometric.hypotheses import Hypotheses, diverse
from sam6d_ros.stages.geometric.kit import ObjectKit, kit_of
from sam6d_ros.stages.geometric.polish import Climb, climb, rescored, settle, with_look_alikes
from sam6d_ros.stages.geometric.scene import SceneMaps, at_working_size, resized, scene_maps
from sam6d_ros.stages.library import BuildContext
from sam6d_ros.types import Candidates, InstanceCandidates, PoseEstimate, PoseEstimates, Scene

FIRST_CLIMB, FIRST_KEPT = Climb(rounds=3, tries=10, rays=600), 4  # kept per detection
LAST_CLIMB, LAST_KEPT = Climb(rounds=5, tries=14, rays=1500), 2
WORTH_POLISHING = 0.75  # of the best score of the same object
JUDGE_RAYS = 4000
DEFAULT_MIN_SCORE = 0.5  # docs/conventions.md has the scores it was chosen by


class RenderRefiner:
    """Refiner that improves candidates by render-and-compare."""

    def __init__(self, context: BuildContext) -> None:
        self._context = context

    def prepare(self, model: ObjectModel) -> None:
        """Render the object's views, or take them from the cache."""
        kit_of(model, self._context)

    def refine(
        self, scene: Scene, candidates: Candidates, objects: Sequence[ObjectModel]
    ) -> PoseEstimates:
        """Return the refined pose of each instance that is worth it, masks of the frame's size."""
        frame, maps = scene.frame, scene.derived(scene_maps)
        refined: list[PoseEstimate] = []
        for model in objects:
            mine = [item for item in candidates.items if item.class_id == model.name]
            kit = kit_of(model, self._context).seen_in(maps)
            refined += self._refine_object(maps, kit, mine)
        size = frame.depth.shape[::-1]
        final = tuple(replace(p, mask=resized(p.mask, size)) for p in refined if p.mask is not None)
        reason = "" if final else "no candidate could be refined"
        return PoseEstimates(final, frame.stamp_ns, frame.frame_id, reason)

    def _refine_object(
        self, scene: SceneMaps, kit: ObjectKit, instances: list[InstanceCandidates]
    ) -> list[PoseEstimate]:
        """The best pose of every detection of one object that is worth the last polish."""
        drafts = [_draft(scene, kit, instance) for instance in instances]
        best = max((poses.score.max() for _, poses in drafts), default=0.0)
        return [
            _finished(scene, kit, labels, poses, instance.instance_id)
            for instance, (labels, poses) in zip(instances, drafts, strict=True)
            if poses.score.max() >= WORTH_POLISHING * best
        ]


def _draft(
    scene: SceneMaps, kit: ObjectKit, instance: InstanceCandidates
) -> tuple[NDArray[np.int32], Hypotheses]:
    """Look-alikes and a first climb of one detection's candidates, with its mask as a label."""
    labels = np.zeros(scene.depth.shape, np.int32)
    labels[at_working_size(instance.mask, scene)] = 1
    region = np.ones(len(instance.score), np.int64)
    start = Hypotheses.from_poses(instance.cam_from_obj, instance.score, region)
    best = with_look_alikes(scene, labels, kit, start, FIRST_KEPT, FIRST_CLIMB.rays)
    best = rescored(scene, labels, kit, climb(scene, labels, kit, best, FIRST_CLIMB), JUDGE_RAYS)
    return labels, diverse(best, kit.centre, kit.model.diameter, LAST_KEPT)


def _finished(
    scene: SceneMaps,
    kit: ObjectKit,
    labels: NDArray[np.int32],
    poses: Hypotheses,
    instance_id: str,
) -> PoseEstimate:
    """The last climb, and the winner with its mask and the parts of its score."""
    climbed = climb(scene, labels, kit, poses, LAST_CLIMB)
    final = Hypotheses.joined(climbed, settle(scene, labels, kit, climbed))
    agreement = compare(scene, kit.model, labels, final, JUDGE_RAYS)
    k = int(agreement.score.argmax())
    pose = final.poses[k]
    return PoseEstimate(
        kit.model.name,
        float(np.clip(agreement.score[k], 0, 1)),
        pose,
        pose_covariance(scene, kit, pose),
        explained_mask(scene, kit.model, pose),
        instance_id,
        {f.name: float(getattr(agreement, f.name)[k]) for f in fields(agreement)},
        visible=float(np.clip(agreement.visible[k], 0, 1)),
    )
