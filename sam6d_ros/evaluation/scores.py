"""From pose errors to recalls: matching of estimates and targets, thresholds, averages.

Thresholds and matching follow the BOP challenge 2019/2020: estimates of one object in one image
are taken in the order of their scores, each is given the nearest target that is still free and
within the threshold, and only as many estimates count as instances are looked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.evaluation import metrics
from sam6d_ros.evaluation.bop_truth import GroundTruth
from sam6d_ros.geometry import se3
from sam6d_ros.types import Frame, PoseEstimate

ADD_THRESHOLD = 0.1  # of the diameter, Hinterstoisser et al. 2012
FRACTIONS = np.linspace(0.05, 0.5, 10)  # of the diameter (MSSD), of the surface (VSD)
PIXELS = np.arange(5.0, 51.0, 5.0)  # MSPD, for an image that is 640 pixels wide
REFERENCE_WIDTH = 640.0
BOP_ERRORS = ("vsd", "mssd", "mspd")


@dataclass(frozen=True)
class PoseErrors:
    """Errors of one estimate against one target, each divided so that thresholds are constants.

    Attributes:
        add, add_s, mssd: fractions of the diameter; ``add`` is symmetry-aware.
        mspd: pixels of an image that is 640 wide.
        vsd: (10,) one per misalignment tolerance.
        rotation_deg, translation_m: plain differences to the nearest symmetric pose (by MSSD's
            rule), for people.
    """

    add: float
    add_s: float
    mssd: float
    mspd: float
    vsd: NDArray[np.float64]
    rotation_deg: float
    translation_m: float


@dataclass(frozen=True)
class TargetScores:
    """Scores of the instances of one object in one image.

    Attributes:
        count: instances looked for.
        hits: recalled instances by error: "add" and "add_s" scalars, "mssd" and "mspd" (10,),
            "vsd" (10, 10) tolerances × thresholds.
        best: errors of each counted estimate against the target nearest to it (by ADD-S).
    """

    count: int
    hits: Mapping[str, NDArray[np.float64]]
    best: tuple[PoseErrors, ...]


def pose_errors(estimated: NDArray, true: NDArray, model: ObjectModel, frame: Frame) -> PoseErrors:
    """Return all errors of an estimate, each the smallest over the model's symmetries."""
    motions = metrics.symmetry_transforms(model.symmetries, estimated, true)
    points = np.asarray(model.vertices, np.float64)
    camera, diameter = frame.camera, model.diameter
    angles = se3.rotation_angle(estimated[:3, :3], (true @ motions)[:, :3, :3])
    nearest = true @ motions[int(np.argmin(angles))]
    mspd = metrics.mspd(estimated, true, points, motions, camera)
    return PoseErrors(
        add=metrics.add_symmetric(estimated, true, points, motions) / diameter,
        add_s=metrics.add_s(estimated, true, points) / diameter,
        mssd=metrics.mssd(estimated, true, points, motions) / diameter,
        mspd=mspd * REFERENCE_WIDTH / camera.width,
        vsd=metrics.vsd(estimated, true, model.scene, diameter, frame.depth, camera),
        rotation_deg=float(np.degrees(angles.min())),
        translation_m=float(np.linalg.norm((estimated - nearest)[:3, 3])),
    )


def score_target(
    estimates: Sequence[PoseEstimate],
    truth: Sequence[GroundTruth],
    count: int,
    model: ObjectModel,
    frame: Frame,
) -> TargetScores:
    """Match the estimates of one object in one image to its annotated instances.

    Args:
        estimates: of this object, any order.
        truth: annotated instances of this object in this image.
        count: instances looked for; the ``count`` most visible ones are the targets.
        model: the object.
        frame: the image.

    Returns:
        Recalled instances and errors.
    """
    targets = sorted(truth, key=lambda gt: -gt.visibility)[:count]
    counted = sorted(estimates, key=lambda e: -e.score)[:count]
    table = [
        [pose_errors(e.cam_from_obj, t.cam_from_obj, model, frame) for t in targets]
        for e in counted
    ]
    best = tuple(min(row, key=lambda errors: errors.add_s) for row in table if row)
    return TargetScores(count, count_hits(table), best)


def missed(count: int) -> TargetScores:
    """Return the scores of an object without any estimate in one image."""
    return TargetScores(count, count_hits([]), ())


def count_hits(table: Sequence[Sequence[PoseErrors]]) -> dict[str, NDArray[np.float64]]:
    """Number of recalled targets per error and threshold; ``table`` is estimates × targets."""

    def values(name: str) -> NDArray[np.float64]:
        rows = [[getattr(errors, name) for errors in row] for row in table]
        return np.asarray(rows, np.float64)

    vsd = values("vsd")
    return {
        "add": np.asarray(matched(values("add"), ADD_THRESHOLD)),
        "add_s": np.asarray(matched(values("add_s"), ADD_THRESHOLD)),
        "mssd": np.asarray([matched(values("mssd"), t) for t in FRACTIONS]),
        "mspd": np.asarray([matched(values("mspd"), t) for t in PIXELS]),
        "vsd": np.asarray(
            [[matched(vsd[..., i], t) for t in FRACTIONS] for i in range(len(metrics.VSD_TAUS))]
            if vsd.size
            else np.zeros((len(metrics.VSD_TAUS), len(FRACTIONS)))
        ),
    }


def matched(errors: NDArray[np.float64], threshold: float) -> float:
    """Count the found targets: estimates (rows, best score first) take the nearest free one."""
    if errors.size == 0:
        return 0.0
    free = np.ones(errors.shape[1], bool)
    for row in errors:
        candidates = np.where(free, row, np.inf)
        if candidates.min() < threshold:
            free[int(np.argmin(candidates))] = False
    return float((~free).sum())


def recalls(scores: Sequence[TargetScores]) -> dict[str, float]:
    """Average recalls over many targets.

    Names: add, add_s, vsd, mssd, mspd, and ar, the mean of the last three. Without targets every
    recall is NaN.

    Returns:
        Recalls in [0, 1] by name.
    """
    total = sum(score.count for score in scores)
    if total == 0:
        return dict.fromkeys(("add", "add_s", *BOP_ERRORS, "ar"), float("nan"))
    out = {
        name: float(np.mean(np.sum([score.hits[name] for score in scores], axis=0) / total))
        for name in ("add", "add_s", *BOP_ERRORS)
    }
    return out | {"ar": float(np.mean([out[name] for name in BOP_ERRORS]))}
