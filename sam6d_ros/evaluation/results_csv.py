"""BOP results files: ``scene_id,im_id,obj_id,score,R,t,time``.

R is row-major and t in millimetres, both separated by spaces; time is the seconds the whole image
took, the same in all its rows. An image without an estimate has no row.
https://bop.felk.cvut.cz/challenges/bop-challenge-2020/#formatofresults
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidDataset
from sam6d_ros.evaluation.bop_truth import pose_from_mm
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.units import MM_PER_M
from sam6d_ros.types import PoseEstimate

HEADER = ("scene_id", "im_id", "obj_id", "score", "R", "t", "time")


@dataclass(frozen=True)
class ImageResult:
    """Estimates of one image.

    Attributes:
        scene_id, im_id: the image.
        estimates: (object id, estimate) pairs.
        time_s: seconds for the whole image; negative when unknown.
        reason: why nothing was found, when nothing was.
    """

    scene_id: int
    im_id: int
    estimates: tuple[tuple[int, PoseEstimate], ...]
    time_s: float
    reason: str = ""

    def of(self, obj_id: int) -> list[PoseEstimate]:
        """The estimates of one object."""
        return [estimate for found, estimate in self.estimates if found == obj_id]


def write_csv(path: Path, results: Iterable[ImageResult]) -> None:
    """Write a results file, best estimates of an image first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        for result in results:
            for obj_id, estimate in sorted(result.estimates, key=lambda e: -e[1].score):
                writer.writerow(row(result, obj_id, estimate))


def row(result: ImageResult, obj_id: int, estimate: PoseEstimate) -> list[str]:
    """One line of the file."""
    rotation = " ".join(f"{value:.9g}" for value in estimate.cam_from_obj[:3, :3].ravel())
    translation = " ".join(f"{value:.6f}" for value in estimate.cam_from_obj[:3, 3] * MM_PER_M)
    ids = [str(result.scene_id), str(result.im_id), str(obj_id)]
    return [*ids, f"{estimate.score:.6f}", rotation, translation, f"{result.time_s:.6f}"]


def read_csv(path: Path) -> list[ImageResult]:
    """Read a results file; scores outside [0, 1] (other methods') keep their order only.

    Returns:
        Results by image, in the order of the file.

    Raises:
        InvalidDataset: missing, or a line is damaged.
    """
    if not path.is_file():
        raise InvalidDataset(f"the results file {path} does not exist")
    rows = []
    with path.open(newline="") as file:
        reader = csv.reader(file)
        for line in reader:
            if not line or (reader.line_num == 1 and line[0].strip() == HEADER[0]):
                continue
            try:
                rows.append(_parsed([cell.strip() for cell in line]))
            except (ValueError, IndexError) as error:
                raise InvalidDataset(
                    f"{path}, line {reader.line_num}: {error}; expected {','.join(HEADER)}"
                ) from error
    return group(rows)


class _Row(NamedTuple):
    """One line of a results file."""

    scene_id: int
    im_id: int
    obj_id: int
    score: float
    cam_from_obj: NDArray[np.float64]
    time_s: float


def _parsed(cells: Sequence[str]) -> _Row:
    """Read one line; raises ValueError or IndexError for a damaged one."""
    if len(cells) != len(HEADER):
        raise ValueError(f"{len(cells)} columns")
    scene_id, im_id, obj_id = (int(cell) for cell in cells[:3])
    score, time_s = float(cells[3]), float(cells[6])
    if not (np.isfinite(score) and np.isfinite(time_s)):
        raise ValueError(f"score {cells[3]} or time {cells[6]} is not finite")
    return _Row(scene_id, im_id, obj_id, score, _pose(cells[4], cells[5]), time_s)


def _pose(rotation: str, translation_mm: str) -> NDArray[np.float64]:
    return se3.check_rigid(pose_from_mm(numbers(rotation), numbers(translation_mm)), "R, t")


def group(rows: Sequence[_Row]) -> list[ImageResult]:
    """Lines to one result per image."""
    scores = to_unit_interval(np.array([row.score for row in rows]))
    images: dict[tuple[int, int], tuple[list[tuple[int, PoseEstimate]], float]] = {}
    for row, score in zip(rows, scores, strict=True):
        estimates, _ = images.setdefault((row.scene_id, row.im_id), ([], row.time_s))
        estimate = PoseEstimate(f"obj_{row.obj_id:06d}", score, row.cam_from_obj)
        estimates.append((row.obj_id, estimate))
    return [ImageResult(*ids, tuple(found), time_s) for ids, (found, time_s) in images.items()]


def to_unit_interval(scores: np.ndarray) -> list[float]:
    """The scores, when all are in [0, 1]; else their ranks, in the same order, in (0, 1]."""
    if scores.size == 0 or (scores.min() >= 0 and scores.max() <= 1):
        return [float(score) for score in scores]
    values, rank = np.unique(scores, return_inverse=True)
    return [float(r + 1) / len(values) for r in rank]


def numbers(cell: str) -> list[float]:
    """Numbers separated by spaces."""
    return [float(value) for value in cell.split()]
