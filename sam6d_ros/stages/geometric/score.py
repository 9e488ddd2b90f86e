"""Which region shows which object: a coarse search of every object over all regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.stages.geometric.candidates import SearchEffort, find_candidates
from sam6d_ros.stages.geometric.compare import explained_mask
from sam6d_ros.stages.geometric.hypotheses import Hypotheses
from sam6d_ros.stages.geometric.kit import kit_of
from sam6d_ros.stages.geometric.scene import SceneMaps, at_working_size, resized, scene_maps
from sam6d_ros.stages.library import BuildContext
from sam6d_ros.types import Detection, Detections, Proposals, Scene

EFFORT = SearchEffort(fitted=300, compared=20)
MIN_DETECTION_SCORE = 0.25  # the pose stage decides; this only bounds its work
MIN_OF_BEST = 0.7  # likewise, relative to the best detection of the same object
SAME_INSTANCE_IOU = 0.4
SPARE_DETECTIONS = 2  # beyond max_instances: the first choice may turn out wrong
MIN_MASK_PX = 50
OWN_REGION_SHARE = 0.6
HINTS_PER_DETECTION = 4

_Claim = tuple[float, NDArray[np.bool_], list[NDArray[np.float64]]]


class TemplateScorer:
    """Finds instances by placing rendered views on the regions; masks show what they explain."""

    def __init__(self, context: BuildContext) -> None:
        self._context = context

    def prepare(self, model: ObjectModel) -> None:
        """Render the object's views, or take them from the cache."""
        kit_of(model, self._context)

    def score(
        self,
        scene: Scene,
        proposals: Proposals,
        objects: Sequence[ObjectModel],
        limits: Mapping[str, int],
    ) -> Detections:
        """Detections of all objects, best first; several may claim the same pixels."""
        maps = scene.derived(scene_maps)
        size = (scene.frame.camera.width, scene.frame.camera.height)
        images: dict[tuple[int, ...], NDArray[np.int32]] = {}
        found: list[Detection] = []
        for model in objects:
            allowed = tuple(i for i in range(len(proposals)) if proposals.allows(i, model.name))
            if not allowed:
                continue
            if allowed not in images:
                images[allowed] = _label_image(proposals, allowed, maps)
            window = proposals.windows.get(model.name)
            found += self._detect(maps, images[allowed], model, size, limits[model.name], window)
        if not found:
            return Detections.empty("no region resembles any of the objects")
        return Detections(tuple(sorted(found, key=lambda d: -d.score)))

    def _detect(
        self,
        scene: SceneMaps,
        labels: NDArray[np.int32],
        model: ObjectModel,
        size: tuple[int, int],
        limit: int,
        window: NDArray[np.bool_] | None,
    ) -> list[Detection]:
        kit = kit_of(model, self._context).seen_in(scene)
        inside = None if window is None else at_working_size(window, scene)
        candidates = find_candidates(scene, labels, kit, EFFORT, window=inside)
        kept = _distinct(scene, labels, model, candidates, limit + SPARE_DETECTIONS)
        return [
            Detection(
                model.name,
                score,
                resized(mask, size),
                f"{model.name}_{index}",
                np.stack(poses[:HINTS_PER_DETECTION]),
            )
            for index, (score, mask, poses) in enumerate(kept)
        ]


def _label_image(
    proposals: Proposals, chosen: Sequence[int], scene: SceneMaps
) -> NDArray[np.int32]:
    """Return the number of the chosen region at each pixel of the working size, 0 = none.

    Smaller regions lie on top.
    """
    size = (scene.camera.width, scene.camera.height)
    labels = np.zeros(size[::-1], np.int32)
    for index in np.asarray(chosen)[np.argsort([-proposals.masks[i].sum() for i in chosen])]:
        labels[at_working_size(proposals.masks[index], scene)] = index + 1
    return labels


def _distinct(
    scene: SceneMaps,
    labels: NDArray[np.int32],
    model: ObjectModel,
    candidates: Hypotheses,
    limit: int,
) -> list[_Claim]:
    """Candidates grouped by the pixels they explain: score, mask and poses of the best groups."""
    claims: list[_Claim] = []
    best = candidates.score.max(initial=0.0)
    for pose, score in zip(candidates.poses, candidates.score, strict=True):
        if score < max(MIN_DETECTION_SCORE, MIN_OF_BEST * best):
            break
        mask = _with_own_regions(explained_mask(scene, model, pose), labels)
        if mask.sum() < MIN_MASK_PX:
            continue
        same = [claim for claim in claims if _iou(mask, claim[1]) >= SAME_INSTANCE_IOU]
        if same:
            same[0][2].append(pose)
        elif len(claims) < limit:
            claims.append((float(score), mask, [pose]))
    return claims


def _with_own_regions(explained: NDArray[np.bool_], labels: NDArray[np.int32]) -> NDArray[np.bool_]:
    """The explained pixels and every region that is explained for the most part.

    The rest of such a region (a handle, say) is the object's as well, though this pose misses it.
    """
    total = np.bincount(labels.ravel())
    share = np.bincount(labels[explained], minlength=len(total)) / np.maximum(total, 1)
    own = share >= OWN_REGION_SHARE
    own[0] = False
    return explained | own[labels]


def _iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    union = (a | b).sum()
    return float((a & b).sum() / union) if union else 0.0
