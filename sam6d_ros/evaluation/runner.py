"""Run a method over the targets of a dataset and score what it finds.

The method is any callable, so that the engine, a peer library or an oracle are judged alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.evaluation.bop import BopDataset, ImageTargets
from sam6d_ros.evaluation.results_csv import ImageResult
from sam6d_ros.evaluation.scores import TargetScores, missed, score_target
from sam6d_ros.stages.accept import Acceptance, accept
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
        rejected: counted estimates whose own score is below the reject threshold; they are in
            ``scores`` all the same.
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
    """Search all target objects of one image together.

    The time is what the method needs for the frame in memory, as BOP defines it (reading the
    files is not counted).

    Args:
        dataset: the dataset.
        target: the image and its objects.
        names: object id → name of the object in the method.
        method: finds poses.

    Returns:
        The poses with their time.
    """
    frame = dataset.frame(target.scene_id, target.im_id)
    ids = {names[obj_id]: obj_id for obj_id in target.asked}
    start = time.perf_counter()
    poses = method(frame, list(ids))
    elapsed = time.perf_counter() - start
    found = tuple((ids[pose.class_id], pose) for pose in poses.items if pose.class_id in ids)
    return ImageResult(target.scene_id, target.im_id, found, elapsed, poses.reason)


def accepted(result: ImageResult, min_score: float) -> ImageResult:
    """Return the result without the estimates that score lower, best first.

    Raises:
        InvalidInput: the threshold is out of its range.
    """
    ids = {pose.class_id: obj_id for obj_id, pose in result.estimates}
    poses = PoseEstimates(tuple(pose for _, pose in result.estimates), 0, "", result.reason)
    kept = accept(poses, Acceptance(min_score, max_instances=max(1, len(poses))))
    found = tuple((ids[pose.class_id], pose) for pose in kept.items)
    return replace(result, estimates=found, reason=kept.reason)


def score_results(
    dataset: BopDataset,
    targets: Iterable[ImageTargets],
    results: Iterable[ImageResult],
    models: Mapping[int, ObjectModel],
    reject_below: float = 0.0,
) -> Iterator[ScoredTarget]:
    """Compare results with the ground truth; images without annotated instances are left out.

    Only instances that are there are targets: an object that is asked and absent is not missed.

    Args:
        dataset: the dataset.
        targets: images and their objects.
        results: poses by image.
        models: object id → model with the symmetries and diameter that count.
        reject_below: the threshold that ``ScoredTarget.rejected`` reports on.

    Yields:
        Scores of each object in each image.
    """
    by_image = {(result.scene_id, result.im_id): result for result in results}
    for target in targets:
        truth = dataset.ground_truth(target.scene_id, target.im_id)
        if not truth:
            continue
        nothing = ImageResult(target.scene_id, target.im_id, (), -1.0)
        result = by_image.get((target.scene_id, target.im_id), nothing)
        # an image that cannot be read has no estimates
        frame = dataset.frame(target.scene_id, target.im_id) if result.estimates else None
        for obj_id, count in target.counts.items():
            estimates = sorted(result.of(obj_id), key=lambda e: -e.score)[:count]
            instances = [gt for gt in truth if gt.obj_id == obj_id]
            scores = missed(count)
            if frame is not None:
                scores = score_target(estimates, instances, count, models[obj_id], frame)
            yield ScoredTarget(
                target.scene_id,
                target.im_id,
                obj_id,
                scores,
                estimates[0].score if estimates else None,
                sum(estimate.score < reject_below for estimate in estimates),
                result.time_s / len(target.asked),
            )
