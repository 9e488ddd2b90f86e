"""Average precision of the detection task: every model is asked for, present or not.

All poses of all images and objects are sorted by score (pooled). A pose is right if its error is
below 10 % of the diameter, see ``catalogue``; BOP's own AP has thresholds of MSSD and MSPD.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.evaluation.bop import BopDataset, ImageTargets
from sam6d_ros.evaluation.bop_truth import MIN_VISIBILITY
from sam6d_ros.evaluation.catalogue import CatalogueImage, score_image
from sam6d_ros.evaluation.results_csv import ImageResult
from sam6d_ros.evaluation.statistics import average_precision
from sam6d_ros.types import PoseEstimates


@dataclass(frozen=True)
class DetectionScore:
    """Average precision over the annotated images of the detection task.

    Attributes:
        average_precision: in [0, 1]; NaN without an instance.
        images, instances, poses: numbers of them.
        wrong: poses that are of no instance.
    """

    average_precision: float
    images: int
    instances: int
    poses: int
    wrong: int


def score_detection(
    dataset: BopDataset,
    targets: Iterable[ImageTargets],
    results: Iterable[ImageResult],
    models: Mapping[int, ObjectModel],
) -> DetectionScore | None:
    """Return the score of the detection images; None without an annotated one."""
    by_image = {(result.scene_id, result.im_id): result for result in results}
    images: list[CatalogueImage] = []
    for target in targets:
        image = (target.scene_id, target.im_id)
        truth = dataset.ground_truth(*image)
        if not target.detection or not truth:
            continue
        result = by_image.get(image, ImageResult(*image, (), -1.0))
        poses = PoseEstimates(
            tuple(
                replace(estimate, class_id=models[obj_id].name)
                for obj_id, estimate in result.estimates
                if obj_id in target.asked
            ),
            0,
            "",
        )
        asked = {obj_id: models[obj_id] for obj_id in target.asked}
        images.append(score_image(image, poses, truth, asked, MIN_VISIBILITY))
    return _summary(images) if images else None


def _summary(images: Iterable[CatalogueImage]) -> DetectionScore:
    images = list(images)
    answers = [answer for image in images for answer in image.answers]
    right = [answer.right for answer in answers]
    positives = sum(image.positives for image in images)
    return DetectionScore(
        average_precision([answer.score for answer in answers], right, positives),
        len(images),
        positives,
        len(answers),
        len(answers) - sum(right),
    )
