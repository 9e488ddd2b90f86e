"""The last stage: look-alikes, local search, rejection, and one owner for every pixel."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.config import PipelineConfig
from sam6d_ros.stages.geometric.compare import compare, explained_mask
from sam6d_ros.stages.geometric.library import ObjectKit, ObjectLibrary
from sam6d_ros.stages.geometric.polish import Climb, climb, settle, with_look_alikes
from sam6d_ros.stages.geometric.scene import SceneMaps, scene_maps
from sam6d_ros.stages.geometric.search import Hypotheses
from sam6d_ros.types import Frame, PoseEstimate, PoseEstimates

LOOK_ALIKE_RAYS, FINE_RAYS = 800, 4000
FINAL_CLIMB = Climb(rounds=7, tries=16, rays=1200)
LOOK_ALIKES_KEPT = 3  # per detection
CLAIMED_SHARE = 0.5  # of a pose's pixels owned by better poses: then it explains nothing new


class RenderRefiner:
    """Improves candidates by render-and-compare and settles which of them stand."""

    def __init__(self, config: PipelineConfig) -> None:
        self._library = ObjectLibrary()
        self._config = config

    def prepare(self, model: ObjectModel) -> None:
        """Render the object's views, or take them from the cache."""
        self._library.kit(model)

    def refine(
        self, frame: Frame, candidates: PoseEstimates, objects: Sequence[ObjectModel]
    ) -> PoseEstimates:
        """One pose per physical object, best first; a reason when all were rejected."""
        scene = scene_maps(frame)
        refined: list[PoseEstimate] = []
        for model in objects:
            mine = [pose for pose in candidates.items if pose.class_id == model.name]
            if mine:
                refined += self._refine_object(scene, self._library.kit(model), mine)
        standing = self._resolve(sorted(refined, key=lambda pose: -pose.score), objects)
        size = frame.depth.shape[::-1]
        final = tuple(_at_full_size(pose, size) for pose in standing)
        return PoseEstimates(final, frame.stamp_ns, frame.frame_id, self._reason(refined, final))

    def _refine_object(
        self, scene: SceneMaps, kit: ObjectKit, poses: list[PoseEstimate]
    ) -> list[PoseEstimate]:
        hypotheses, ids = _as_hypotheses(poses)
        labels = np.zeros(scene.depth.shape, np.int32)  # what belongs together is not known here
        best = with_look_alikes(scene, labels, kit, hypotheses, LOOK_ALIKES_KEPT, LOOK_ALIKE_RAYS)
        best = climb(scene, kit, best, FINAL_CLIMB)
        settled = settle(scene, labels, kit, best)
        both = Hypotheses.joined(best, settled)
        return _judged(scene, kit.model, both, ids)

    def _resolve(
        self, ranked: list[PoseEstimate], objects: Sequence[ObjectModel]
    ) -> list[PoseEstimate]:
        """Walk from the best down; a pose stands when it explains pixels nobody owns yet."""
        thresholds = {model.name: model.min_score for model in objects}
        standing: list[PoseEstimate] = []
        count: dict[str, int] = defaultdict(int)
        owned: NDArray[np.bool_] | None = None
        for pose in ranked:
            own = thresholds[pose.class_id]
            if pose.score < (self._config.min_score if own is None else own) or pose.mask is None:
                continue
            owned = np.zeros_like(pose.mask) if owned is None else owned
            taken = (pose.mask & owned).sum() > CLAIMED_SHARE * pose.mask.sum()
            if taken or count[pose.class_id] == self._config.max_instances:
                continue
            owned |= pose.mask
            count[pose.class_id] += 1
            standing.append(pose)
        return standing

    def _reason(self, refined: list[PoseEstimate], final: tuple[PoseEstimate, ...]) -> str:
        if final or not refined:
            return "" if final else "no candidate could be refined"
        best = max(refined, key=lambda pose: pose.score)
        return (
            f"the best candidate ({best.class_id}, score {best.score:.2f}) is below the reject "
            f"threshold {self._config.min_score:.2f}"
        )


def _as_hypotheses(poses: list[PoseEstimate]) -> tuple[Hypotheses, list[str]]:
    """Poses as hypotheses whose region is the detection they belong to."""
    ids = sorted({pose.instance_id for pose in poses})
    matrices = np.stack([pose.cam_from_obj for pose in poses])
    score = np.array([pose.score for pose in poses], np.float32)
    region = np.array([ids.index(pose.instance_id) for pose in poses])
    return Hypotheses.from_poses(matrices, score, region), ids


def _judged(
    scene: SceneMaps, model: ObjectModel, poses: Hypotheses, ids: list[str]
) -> list[PoseEstimate]:
    """The best pose of every detection, with the parts of its score and its mask."""
    agreement = compare(scene, model, poses.rotation, poses.translation, FINE_RAYS)
    score = agreement.score
    out = []
    for region, instance_id in enumerate(ids):
        of_region = np.flatnonzero(poses.region == region)
        if len(of_region) == 0:
            continue
        k = of_region[score[of_region].argmax()]
        pose = poses.poses[k]
        parts = {n: float(getattr(agreement, n)[k]) for n in agreement.__dataclass_fields__}
        mask = explained_mask(scene, model, pose)
        value = float(np.clip(score[k], 0, 1))
        out.append(PoseEstimate(model.name, value, pose, None, mask, instance_id, parts))
    return out


def _at_full_size(pose: PoseEstimate, size: tuple[int, int]) -> PoseEstimate:
    if pose.mask is None or pose.mask.shape == size[::-1]:
        return pose
    mask = cv2.resize(pose.mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    return PoseEstimate(
        pose.class_id, pose.score, pose.cam_from_obj, pose.covariance, mask, pose.instance_id,
        pose.score_parts,
    )  # fmt: skip
