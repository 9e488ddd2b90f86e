"""Errors of the demo's poses as a table and a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.errors import Sam6dError
from sam6d_ros.evaluation import metrics
from sam6d_ros.evaluation.bop_truth import GroundTruth
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.units import MM_PER_M
from sam6d_ros.runtime.error_table import NOTHING_FOUND
from sam6d_ros.types import Frame, PoseEstimate, PoseEstimates
from sam6d_ros.visualize import draw_poses

# The usual bar: average distance below a tenth of the diameter (Hinterstoisser et al., 2012).
RIGHT_BELOW = 0.1
MAX_POINTS = 2000  # model points for the average; more change nothing visible


@dataclass(frozen=True)
class PoseError:
    """Error of an estimate: the smallest over the object's symmetries."""

    score: float
    translation_m: float
    rotation_rad: float
    add_of_diameter: float


@dataclass(frozen=True)
class Match:
    """An annotated instance and how good its nearest estimate is; None without an estimate."""

    name: str
    visibility: float
    error: PoseError | None = None

    @property
    def right(self) -> bool:
        """Whether the pose is within the usual bar."""
        return self.error is not None and self.error.add_of_diameter < RIGHT_BELOW


def match(
    truth: Sequence[GroundTruth], poses: PoseEstimates, models: Mapping[int, ObjectModel]
) -> list[Match]:
    """Give each annotated instance its nearest estimate of the same object, each one once."""
    free = list(poses.items)
    matches = []
    for instance in truth:
        model = models[instance.obj_id]
        candidates = [pose for pose in free if pose.class_id == model.name]
        if not candidates:
            matches.append(Match(model.name, instance.visibility))
            continue
        best = min(
            candidates,
            key=lambda pose: np.linalg.norm((pose.cam_from_obj - instance.cam_from_obj)[:3, 3]),
        )
        free = [pose for pose in free if pose is not best]
        error = _compare(best, instance, model)
        matches.append(Match(model.name, instance.visibility, error))
    return matches


def _compare(pose: PoseEstimate, instance: GroundTruth, model: ObjectModel) -> PoseError:
    points = np.asarray(model.vertices[:: max(1, len(model.vertices) // MAX_POINTS)], np.float64)
    estimated, true = pose.cam_from_obj, instance.cam_from_obj
    truths = true @ metrics.symmetry_transforms(model.symmetries, estimated, true)
    errors = [metrics.add(pose.cam_from_obj, true, points) for true in truths]
    nearest: NDArray[np.float64] = truths[int(np.argmin(errors))]
    return PoseError(
        score=pose.score,
        translation_m=float(np.linalg.norm((pose.cam_from_obj - nearest)[:3, 3])),
        rotation_rad=float(se3.rotation_angle(pose.cam_from_obj[:3, :3], nearest[:3, :3])),
        add_of_diameter=min(errors) / model.diameter,
    )


def exit_code(matches: Sequence[Match], poses: PoseEstimates) -> int:
    """Return 0 if a pose is right (without ground truth: if there is one), 1 if all are wrong.

    Without a pose it is ``NOTHING_FOUND``.
    """
    if not len(poses):
        return NOTHING_FOUND
    return 0 if not matches or any(m.right for m in matches) else 1


def table(matches: Sequence[Match], poses: PoseEstimates) -> Table:
    """One row per annotated instance; the poses themselves when nothing is annotated."""
    if not matches:
        return _poses_table(poses)
    right = sum(m.right for m in matches)
    title = f"{right} of {len(matches)} poses right: ADD below a tenth of the diameter"
    out = Table(title=title)
    out.add_column("object")
    for heading in ("visible", "score", "position error", "rotation error", "ADD / diameter", ""):
        out.add_column(heading, justify="right")
    for m in matches:
        if m.error is None:
            out.add_row(m.name, f"{m.visibility:.0%}", "–", "–", "–", "–", "[red]not found")
            continue
        out.add_row(
            m.name,
            f"{m.visibility:.0%}",
            f"{m.error.score:.2f}",
            f"{MM_PER_M * m.error.translation_m:.1f} mm",
            f"{np.degrees(m.error.rotation_rad):.1f}°",
            f"{m.error.add_of_diameter:.1%}",
            "[green]right" if m.right else "[red]wrong",
        )
    return out


def _poses_table(poses: PoseEstimates) -> Table:
    out = Table(title=f"{len(poses)} poses (the image has no ground truth)")
    for heading in ("object", "score", "x", "y", "z"):
        out.add_column(heading)
    for pose in poses.items:
        position = (f"{value:.3f} m" for value in pose.cam_from_obj[:3, 3])
        out.add_row(pose.class_id, f"{pose.score:.2f}", *position)
    return out


def write_overlay(
    frame: Frame, poses: PoseEstimates, models: Mapping[int, ObjectModel], path: Path
) -> Path:
    """Write the image with the poses drawn over it.

    Returns:
        Path of the picture.

    Raises:
        Sam6dError: the file cannot be written.
    """
    by_name = {model.name: model for model in models.values()}
    image = draw_poses(frame.rgb, frame.camera, poses.items, by_name)
    if not cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR)):
        raise Sam6dError(f"the picture {path} cannot be written")
    return path
