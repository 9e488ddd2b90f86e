"""Search for a whole catalogue: every model is asked for in every image, present or not.

A pose is right if its error is below 10 % of the diameter: ADD-S for objects with symmetries, ADD
for the others (Hinterstoisser et al., 2012; "ADD(-S)"). One pose per true instance counts, the one
that scores best. A pose of an instance that is seen less than ``min_visible`` counts neither way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.evaluation import metrics
from sam6d_ros.evaluation.bop import BopDataset
from sam6d_ros.evaluation.bop_truth import GroundTruth
from sam6d_ros.evaluation.scores import ADD_THRESHOLD
from sam6d_ros.evaluation.statistics import Rate, average_precision, calibration_error
from sam6d_ros.types import Frame, PoseEstimates

# frame and names of all objects → all poses that stand, whatever their score
Method = Callable[[Frame, Sequence[str]], PoseEstimates]
FAR = 1.5  # diameters: a pose farther from an instance is no pose of it


@dataclass(frozen=True)
class Answer:
    """One returned pose.

    Attributes:
        name: of the object.
        score: of the method, in [0, 1].
        right: whether it is the pose of an instance that counts.
        error: in diameters, to the nearest instance that was free; infinite without one.
    """

    name: str
    score: float
    right: bool
    error: float


@dataclass(frozen=True)
class CatalogueImage:
    """Answers of one image.

    Attributes:
        scene_id, im_id: of the image.
        answers: the poses that count, best first.
        ignored: poses of instances that are hardly seen.
        missed: names of the instances without a right pose, whatever the score.
        positives: instances that count.
        cpu_s: processor seconds of the search, all threads.
    """

    scene_id: int
    im_id: int
    answers: tuple[Answer, ...]
    ignored: int
    missed: tuple[str, ...]
    positives: int
    cpu_s: float


def search_image(
    dataset: BopDataset,
    image: tuple[int, int],
    models: Mapping[int, ObjectModel],
    method: Method,
    min_visible: float,
) -> CatalogueImage | None:
    """Search every model in one image; None if no instance is annotated in it.

    An empty list is what data sets have for images without annotation.

    Returns:
        Truth and poses of the image, or None.
    """
    truth = dataset.ground_truth(*image)
    if not truth:
        return None
    frame = dataset.frame(*image)
    start = time.process_time()
    poses = method(frame, [model.name for model in models.values()])
    cpu_s = time.process_time() - start
    return score_image(image, poses, truth, models, min_visible, cpu_s)


def score_image(
    image: tuple[int, int],
    poses: PoseEstimates,
    truth: Sequence[GroundTruth],
    models: Mapping[int, ObjectModel],
    min_visible: float,
    cpu_s: float = 0.0,
) -> CatalogueImage:
    """Match the poses of one image to its instances, the best score first."""
    by_name = {model.name: obj_id for obj_id, model in models.items()}
    known = [instance for instance in truth if instance.obj_id in models]
    free = set(range(len(known)))
    counted = {i for i in free if known[i].visibility >= min_visible}
    answers, ignored = [], 0
    for pose in sorted(poses.items, key=lambda item: -item.score):
        obj_id = by_name[pose.class_id]
        same = [i for i in free if known[i].obj_id == obj_id]
        errors = {
            i: right_error(pose.cam_from_obj, known[i].cam_from_obj, models[obj_id]) for i in same
        }
        best = min(errors, key=lambda i: errors[i], default=-1)
        error = errors.get(best, np.inf)
        if hit := bool(error < ADD_THRESHOLD):
            free.discard(best)
        if hit and best not in counted:
            ignored += 1
            continue
        answers.append(Answer(pose.class_id, float(pose.score), hit, float(error)))
    missed = tuple(models[known[i].obj_id].name for i in sorted(free & counted))
    return CatalogueImage(*image, tuple(answers), ignored, missed, len(counted), cpu_s)


def right_error(
    estimated: NDArray[np.float64], true: NDArray[np.float64], model: ObjectModel
) -> float:
    """Return ADD-S of an object with symmetries, ADD of another one, in diameters.

    Poses farther apart than ``FAR`` diameters get infinity.
    """
    if np.linalg.norm(estimated[:3, 3] - true[:3, 3]) > FAR * model.diameter:
        return float("inf")
    points = np.asarray(model.vertices, np.float64)
    error = metrics.add_s if model.symmetries.is_symmetric else metrics.add
    return error(estimated, true, points) / model.diameter


def summarize(images: Sequence[CatalogueImage], min_score: float) -> dict[str, Any]:
    """Return the figures of all images.

    Args:
        images: results of images.
        min_score: threshold of recall and precision; average precision and calibration error are
            of all poses.
    """
    answers = [answer for image in images for answer in image.answers]
    kept = [answer for answer in answers if answer.score >= min_score]
    right = sum(answer.right for answer in kept)
    positives = sum(image.positives for image in images)
    scores, hits = [a.score for a in answers], [a.right for a in answers]
    return {
        "images": len(images),
        "instances": positives,
        "min_score": min_score,
        "recall": Rate(right, positives),
        "precision": Rate(right, len(kept)),
        "average_precision": average_precision(scores, hits, positives),
        "calibration_error": calibration_error(scores, hits),
        "poses": len(answers),
        "ignored": sum(image.ignored for image in images),
        "cpu_s": [round(image.cpu_s, 2) for image in images],
    }
