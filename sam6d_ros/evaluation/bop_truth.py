"""Annotated instances of BOP scenes: ``scene_gt.json`` and ``scene_gt_info.json``."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidDataset
from sam6d_ros.evaluation.bop_files import read_json
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.units import MM_PER_M

MIN_VISIBILITY = 0.1  # instances seen less are no targets (BOP challenge 2019)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GroundTruth:
    """One annotated instance.

    Attributes:
        obj_id: number of the object in the dataset.
        cam_from_obj: (4, 4) pose in the camera frame, metres.
        visibility: visible fraction of the instance in [0, 1]; 1 when not annotated.
    """

    obj_id: int
    cam_from_obj: NDArray[np.float64]
    visibility: float = 1.0


def pose_from_mm(rotation: Any, translation_mm: Any) -> NDArray[np.float64]:
    """(4, 4) pose in metres from nine numbers and three millimetres."""
    matrix = np.asarray(rotation, np.float64).reshape(3, 3)
    return se3.from_rotation_translation(matrix, np.asarray(translation_mm, np.float64) / MM_PER_M)


def visible_counts(truth: Iterable[GroundTruth]) -> dict[int, int]:
    """Return the number of instances that are seen well enough, by object."""
    return dict(Counter(gt.obj_id for gt in truth if gt.visibility >= MIN_VISIBILITY))


def read_truth(gt_file: Path, info_file: Path, im_id: int) -> tuple[GroundTruth, ...] | None:
    """Return the annotated instances of an image; None when it is not annotated.

    Raises:
        InvalidDataset: a file is damaged.
    """
    entries = read_json(gt_file).get(im_id) if gt_file.is_file() else None
    if entries is None:
        return None
    shares = _visible_shares(info_file, im_id, len(entries))
    try:
        return tuple(
            GroundTruth(
                int(entry["obj_id"]), pose_from_mm(entry["cam_R_m2c"], entry["cam_t_m2c"]), share
            )
            for entry, share in zip(entries, shares, strict=True)
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidDataset(
            f"{gt_file}, image {im_id}: {error!r}; expected obj_id, cam_R_m2c (9 numbers) and "
            "cam_t_m2c (3 numbers, millimetres) of each instance"
        ) from error


def _visible_shares(info_file: Path, im_id: int, count: int) -> list[float]:
    """Return the visible share of each instance of an image; 1 where the file has none."""
    if not info_file.is_file():
        return [1.0] * count
    entries = read_json(info_file).get(im_id, [])
    try:
        shares = [float(entry.get("visib_fract", 1.0)) for entry in entries]
    except (AttributeError, TypeError, ValueError) as error:
        raise InvalidDataset(
            f"{info_file}, image {im_id}: {error}; expected visib_fract, 0 to 1, of each instance"
        ) from error
    if len(shares) != count:
        log.warning(
            "%s has %d entries for image %d, and its ground truth %d instances; instances without "
            "an entry count as fully visible",
            info_file,
            len(shares),
            im_id,
            count,
        )
    return (shares + [1.0] * count)[:count]
