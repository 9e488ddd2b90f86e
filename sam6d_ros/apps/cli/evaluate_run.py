"""Run of the engine over the images of a dataset, for `sam6d eval`."""

from __future__ import annotations

import argparse
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from rich.progress import track

from sam6d_ros.apps.cli.boxes import boxes_in, detector_of
from sam6d_ros.apps.cli.options import CONSOLE, load_engine
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.errors import InvalidInput
from sam6d_ros.evaluation import runner
from sam6d_ros.evaluation.bop import BopDataset, ImageTargets
from sam6d_ros.evaluation.results_csv import ImageResult
from sam6d_ros.evaluation.truth_boxes import boxes_of_truth
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.error_table import Handling, gravest, handling_of, message_of
from sam6d_ros.stages.accept import Acceptance
from sam6d_ros.types import Boxes, Frame, PoseEstimates

BoxSource = Callable[[ImageTargets, Frame], Boxes | None]


@dataclass(frozen=True)
class MethodRun:
    """Results of one method over the images.

    Attributes:
        results: one per image.
        exit_code: of the gravest failure of an image; 0 without one.
        reject_below: score below which the method rejects an estimate.
    """

    results: list[ImageResult]
    exit_code: int
    reject_below: float


def run_method(
    args: argparse.Namespace,
    dataset: BopDataset,
    targets: Sequence[ImageTargets],
    models: Mapping[int, ObjectModel],
) -> MethodRun:
    """Run the engine on all images.

    A failure is shown and counted, and the other images still run: hours of results are worth
    more than an early stop.

    Returns:
        The results of all images, and the worst exit code.
    """
    names = {obj_id: model.name for obj_id, model in models.items()}
    engine = load_engine(args, list(models.values()), args.min_score, limit_of(args, targets))
    # The metrics count equivalent poses alike, and symmetries of datasets are inexact: the
    # canonical pose of the brick of YCB-V is worse.
    limits = replace(engine.acceptance, canonical=False)
    kept = replace(limits, min_score=0.0) if args.min_score is None else limits
    results, failures = list[ImageResult](), list[Handling]()
    with box_source(args, dataset, models) as boxes_of:
        for target in track(targets, "estimating", console=CONSOLE):
            try:
                method = partial(run_engine, engine, kept, partial(boxes_of, target))
                results.append(runner.run_image(dataset, target, names, method))
            except Exception as error:  # one image: see runtime/error_table
                text = message_of(error)
                failures.append(show_failure(target, error, text))
                results.append(ImageResult(target.scene_id, target.im_id, (), -1.0, text))
    worst = gravest(failures)
    return MethodRun(results, 0 if worst is None else worst.exit_code, limits.min_score)


def limit_of(args: argparse.Namespace, targets: Sequence[ImageTargets]) -> int:
    """Return the most instances per object: as stated, or the largest number in the targets."""
    most = max((n for target in targets for n in target.counts.values()), default=1)
    return most if args.max_instances is None else args.max_instances


def run_engine(
    engine: Engine,
    acceptance: Acceptance,
    boxes_in: Callable[[Frame], Boxes | None],
    frame: Frame,
    names: Sequence[str],
) -> PoseEstimates:
    """Search the objects in the boxes of the frame, or everywhere without boxes."""
    return engine.run(frame, names, acceptance, boxes=boxes_in(frame))


@contextmanager
def box_source(
    args: argparse.Namespace, dataset: BopDataset, models: Mapping[int, ObjectModel]
) -> Iterator[BoxSource]:
    """Return the boxes that the options state, as a function of target and frame.

    Yields:
        Function that returns the boxes of a frame.

    Raises:
        InvalidInput: a detector and the ground truth are stated.
        InvalidConfig, BackendUnavailable, NotReady: see ``open_detector``.
    """

    def of_truth(target: ImageTargets, frame: Frame) -> Boxes:
        truth = dataset.ground_truth(target.scene_id, target.im_id)
        if truth is None:
            raise InvalidInput("--boxes gt needs ground truth; leave the scene out by --scenes")
        return boxes_of_truth(frame, truth, models)

    if args.boxes and args.detector:
        raise InvalidInput("--detector and --boxes exclude each other; state one of them")
    with detector_of(args) as detector:
        yield of_truth if args.boxes else lambda _, frame: boxes_in(frame, detector)


def show_failure(target: ImageTargets, error: Exception, text: str) -> Handling:
    """Print why an image failed, a defect with its traceback; return the handling."""
    handling = handling_of(error)
    place = f"scene {target.scene_id} image {target.im_id}"
    CONSOLE.print(f"{place} failed: {text}", markup=False)
    if handling.with_traceback:
        traceback.print_exception(error)
    return handling
