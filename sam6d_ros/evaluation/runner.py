"""Run a method over the targets of a dataset and score what it finds.

The method is any callable, so that the engine, a peer library or an oracle are judged alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.evaluation.bop import BopDataset, ImageTargets
from sam6d_ros.evaluation.results_csv import ImageResult
from sam6d_ros.evaluation.scores import TargetScores, score_target
from sam6d_ros.types import Frame, PoseEstimates

# frame and the names of the objects to look for, all at once
Method = Callable[[Frame, Sequence[str]], PoseEstimates]


@dataclass(frozen=True)
class ScoredTarget:
    """One object in one image: what was asked, what came out.

    Attributes:
        scene_id, im_id, obj_id: which target.
        scores: recalled instances and errors.
        top_score: the method's own score of its best estimate; None when it gave none.
        rejected: counted estimates whose own score is below the reject threshold.
        time_s: the image's time divided by the number of objects searched in it.
    """

    scene_id: int
    im_id: int
    obj_id: int
    scores: TargetScores
    top_score: float | None
    rejected: int
    time_s: float


def run_image(
    dataset: BopDataset, target: ImageTargets, names: Mapping[int, str], method: Method
) -> ImageResult:
    """Look for all target objects of one image together.

    The time is what the method needs for the frame in memory, as BOP defines it (reading the
    files is not counted).

    Args:
        names: object id → name of the object in the method.
    """
    frame = dataset.frame(target.scene_id, target.im_id)
    ids = {names[obj_id]: obj_id for obj_id in target.counts}
    start = time.perf_counter()
    poses = method(frame, list(ids))
    elapsed = time.perf_counter() - start
    found = tuple((ids[pose.class_id], pose) for pose in poses.items if pose.class_id in ids)
    return ImageResult(target.scene_id, target.im_id, found, elapsed, poses.reason)


def score_results(
    dataset: BopDataset,
    targets: Iterable[ImageTargets],
    results: Iterable[ImageResult],
    models: Mapping[int, ObjectModel],
    min_score: float = 0.0,
) -> Iterator[ScoredTarget]:
    """Compare results with the ground truth; images without ground truth are left out.

    Args:
        models: object id → model with the symmetries and diameter that count.
        min_score: the reject threshold that ``ScoredTarget.rejected`` reports on.
    """
    by_image = {(result.scene_id, result.im_id): result for result in results}
    for target in targets:
        truth = dataset.ground_truth(target.scene_id, target.im_id)
        if truth is None:
            continue
        nothing = ImageResult(target.scene_id, target.im_id, (), -1.0)
        result = by_image.get((target.scene_id, target.im_id), nothing)
        frame = dataset.frame(target.scene_id, target.im_id)
        for obj_id, count in target.counts.items():
            estimates = sorted(result.of(obj_id), key=lambda e: -e.score)[:count]
            instances = [gt for gt in truth if gt.obj_id == obj_id]
            yield ScoredTarget(
                target.scene_id,
                target.im_id,
                obj_id,
                score_target(estimates, instances, count, models[obj_id], frame),
                estimates[0].score if estimates else None,
                sum(estimate.score < min_score for estimate in estimates),
                result.time_s / len(target.counts),
            )
