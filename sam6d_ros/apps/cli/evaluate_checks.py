"""Refusals of `sam6d eval`: runs whose figures would be meaningless."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sam6d_ros.apps.cli.options import CONSOLE
from sam6d_ros.errors import InvalidDataset
from sam6d_ros.evaluation.bop import BopDataset, ImageTargets
from sam6d_ros.evaluation.results_csv import ImageResult


def refuse_unscored(dataset: BopDataset, targets: Sequence[ImageTargets]) -> None:
    """Print the number of images without ground truth; stop if no image has it.

    Raises:
        InvalidDataset: no image has ground truth.
    """
    blank = sum(not dataset.ground_truth(t.scene_id, t.im_id) for t in targets)
    if blank == len(targets):
        raise InvalidDataset(
            f"nothing was scored: no target image of {dataset.split_dir} has ground truth "
            "(scene_gt.json); take a split that has it by --split, or write a results file by --csv"
        )
    if blank:
        CONSOLE.print(f"note: {blank} of {len(targets)} images have no ground truth")


def refuse_foreign(
    path: Path,
    results: Sequence[ImageResult],
    dataset: BopDataset,
    targets: Sequence[ImageTargets],
) -> None:
    """Stop if a results file is of other images or objects than the targets.

    Raises:
        InvalidDataset: no row is of a target.
    """
    asked = {(t.scene_id, t.im_id, obj_id) for t in targets for obj_id in t.asked}
    found = {(r.scene_id, r.im_id, obj_id) for r in results for obj_id, _ in r.estimates}
    if not asked & found:
        first = targets[0]
        raise InvalidDataset(
            f"nothing was scored: no row of {path} is of a target of {dataset.split_dir}; the "
            f"first target is scene {first.scene_id}, image {first.im_id}, objects "
            f"{list(first.asked)[:8]}"
        )
