"""`sam6d eval`: accuracy and time on a dataset in BOP format."""

from __future__ import annotations

import argparse
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.progress import track

from sam6d_ros.apps.cli import evaluate_all
from sam6d_ros.apps.cli.boxes import add_detector_options, boxes_in, detector_of
from sam6d_ros.apps.cli.evaluate_checks import refuse_foreign, refuse_unscored
from sam6d_ros.apps.cli.options import (
    CONSOLE,
    add_backend_options,
    add_command,
    load_engine,
    result_console,
)
from sam6d_ros.cad.bop_models import load_bop_models
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.errors import InvalidInput
from sam6d_ros.evaluation import report, runner
from sam6d_ros.evaluation.bop import BopDataset, ImageTargets
from sam6d_ros.evaluation.detection import DetectionScore, score_detection
from sam6d_ros.evaluation.results_csv import ImageResult, read_csv, write_csv
from sam6d_ros.evaluation.truth_boxes import boxes_of_truth
from sam6d_ros.exchange import json_text
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.error_table import Handling, gravest, handling_of, message_of
from sam6d_ros.stages.accept import Acceptance
from sam6d_ros.types import Boxes, Frame, PoseEstimates

BoxSource = Callable[[ImageTargets, Frame], Boxes | None]

DESCRIPTION = """\
Find the target objects in every image of a dataset in BOP format and, where there is ground
truth, measure: recall by ADD-S and ADD (error < 10 % of the diameter; ADD takes the smallest
error over the object's symmetries) and BOP's average recall (VSD, MSSD, MSPD).

The targets are those of the split's file; without one, the annotated instances. Targets of the
detection task of 2024 name no objects: every model is searched in every image, absent ones are
not missed, and the average precision (AP) is reported.

All target objects of an image are searched together. Every estimate is in the CSV and in the
recalls, as is usual for BOP; the column "rejected" counts those that score below the backend's
default threshold. With --min-score, estimates that score lower are neither in the CSV nor in the
recalls. The time of an image is that of the method alone, with the frame in memory.

  DATASET/models/obj_000001.ply ...        DATASET/test/000001/{rgb,depth}/000001.png
  DATASET/models/models_info.json          DATASET/test/000001/scene_camera.json
  DATASET/test_targets_bop19.json          DATASET/test/000001/scene_gt.json  (optional)

examples:
  sam6d eval ycbv
  sam6d eval ycbv --scenes 48 49 --object-ids 1 2 --json scores.json
  sam6d eval ycbv --csv geometric_ycbv-test.csv       a results file for the BOP server
  sam6d eval ycbv --ask-all                           all models in all images: precision too
  sam6d eval ycbv --boxes gt                          search in the boxes of the ground truth
  sam6d eval ycbv --from-csv theirs_ycbv-test.csv     score somebody else's results

exit codes: as `sam6d`; images that fail are shown and the others evaluated, the code is that of
            the gravest failure; 2 if nothing could be scored and no results were written"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register the subcommand."""
    parser = add_command(commands, "eval", "measure accuracy and time on a dataset", DESCRIPTION)
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="folder in BOP format")
    group = parser.add_argument_group("what to search")
    group.add_argument("--split", help="folder of the scenes (default: test…, else val…)")
    group.add_argument(
        "--sensor",
        metavar="NAME",
        help="sensor of BOP-Industrial, as in rgb_NAME/ and scene_camera_NAME.json (default: the "
        "only one)",
    )
    group.add_argument("--scenes", type=int, nargs="+", metavar="N", help="only these scenes")
    group.add_argument(
        "--object-ids", "--objects-ids", type=int, nargs="+", metavar="N", help="only these objects"
    )
    group.add_argument(
        "--max-instances",
        type=int,
        metavar="N",
        help="most instances per object (default: the largest number in the targets)",
    )
    evaluate_all.add_options(group)
    add_backend_options(parser)
    add_detector_options(parser).add_argument(
        "--boxes",
        choices=("gt",),
        help="instead of a detector the boxes of the ground truth, named by the objects",
    )
    group = parser.add_argument_group("result")
    group.add_argument("--csv", type=Path, metavar="FILE", help="write a BOP results file")
    group.add_argument("--json", type=Path, metavar="FILE", help="write scores and every error")
    group.add_argument(
        "--from-csv", type=Path, metavar="FILE", help="score this results file; run nothing"
    )
    group.add_argument(
        "--min-score",
        type=float,
        help="reject estimates with a lower score, 0 to 1 (default: keep all, count those below "
        "the backend's threshold)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run or read results, score them where there is ground truth, report and write.

    Raises:
        InvalidDataset: nothing could be scored, and no results file was asked for.
    """
    dataset = BopDataset(args.dataset, args.split, args.sensor)
    if args.ask_all:
        obj_ids = args.object_ids or dataset.model_ids()
        return evaluate_all.run(args, dataset, load_models(dataset, obj_ids, args.cache_dir))
    targets = dataset.targets(args.scenes, args.object_ids)
    obj_ids = sorted({obj_id for target in targets for obj_id in target.asked})
    with CONSOLE.status(f"onboarding {len(obj_ids)} objects of {dataset.models_dir}"):
        models = load_models(dataset, obj_ids, args.cache_dir)
    done = (
        read_method(args, dataset, targets)
        if args.from_csv
        else run_method(args, dataset, targets, models)
    )
    if args.csv:
        write_csv(args.csv, done.results)
    detection = score_detection(dataset, targets, done.results, models)
    progress = track(targets, "scoring", console=CONSOLE, transient=True)
    scored = list(runner.score_results(dataset, progress, done.results, models, done.reject_below))
    tell(args, scored, done.results, models, detection)
    worst = gravest(done.failures)
    if worst is None and (args.from_csv or not args.csv):
        refuse_unscored(dataset, targets)
    return 0 if worst is None else worst.exit_code


def load_models(
    dataset: BopDataset, obj_ids: Sequence[int], cache_dir: Path
) -> dict[int, ObjectModel]:
    """Onboard the objects by id, under the dataset's names where those are unique."""
    loaded = load_bop_models(dataset.models_dir, obj_ids, cache_dir)
    models = dict(zip(obj_ids, loaded, strict=True))
    if len({model.name for model in loaded}) < len(loaded):
        return {i: replace(model, name=f"obj_{i:06d}") for i, model in models.items()}
    return models


@dataclass(frozen=True)
class MethodRun:
    """Results of one method over the images.

    Attributes:
        results: one per image.
        failures: handling of the error of each image that failed.
        reject_below: score below which the method rejects an estimate.
    """

    results: list[ImageResult]
    failures: list[Handling]
    reject_below: float


def read_method(
    args: argparse.Namespace, dataset: BopDataset, targets: Sequence[ImageTargets]
) -> MethodRun:
    """Read the results of a file; the threshold applies if one is given.

    Raises:
        InvalidDataset: the file is missing or damaged, or no row is of a target.
        InvalidInput: the threshold is out of its range.
    """
    min_score = 0.0 if args.min_score is None else args.min_score
    rows = read_csv(args.from_csv)
    results = [runner.accepted(result, min_score) for result in rows]
    refuse_foreign(args.from_csv, rows, dataset, targets)
    return MethodRun(results, [], min_score)


def run_method(
    args: argparse.Namespace,
    dataset: BopDataset,
    targets: Sequence[ImageTargets],
    models: Mapping[int, ObjectModel],
) -> MethodRun:
    """Run the engine on all images.

    A failure is shown and counted, and the other images still run: hours of results are worth
    more than an early stop.
    """
    names = {obj_id: model.name for obj_id, model in models.items()}
    most = max((n for target in targets for n in target.counts.values()), default=1)
    limit = most if args.max_instances is None else args.max_instances
    engine = load_engine(args, list(models.values()), args.min_score, limit)
    limits = engine.acceptance
    kept = replace(limits, min_score=0.0) if args.min_score is None else limits
    done = MethodRun([], [], limits.min_score)
    with box_source(args, dataset, models) as boxes_of:
        for target in track(targets, "estimating", console=CONSOLE):
            try:
                method = partial(run_engine, engine, kept, partial(boxes_of, target))
                done.results.append(runner.run_image(dataset, target, names, method))
            except Exception as error:  # one image: see runtime/error_table
                text = message_of(error)
                done.failures.append(show_failure(target, error, text))
                done.results.append(ImageResult(target.scene_id, target.im_id, (), -1.0, text))
    return done


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


def tell(
    args: argparse.Namespace,
    scored: Sequence[runner.ScoredTarget],
    results: Sequence[ImageResult],
    models: Mapping[int, ObjectModel],
    detection: DetectionScore | None,
) -> None:
    """Print the table, or only counts and times without ground truth; write the JSON."""
    console = result_console()
    names = {obj_id: model.name for obj_id, model in models.items()}
    summary = report.summarize_by_object(scored, names)
    found = sum(len(result.estimates) for result in results)
    if scored:
        console.print(report.table(summary, str(args.dataset)))
    else:
        console.print("no ground truth: no recalls", markup=False)
    if detection:
        console.print(report.detection_text(detection), markup=False)
    seconds = report.median([result.time_s for result in results if result.time_s >= 0])
    console.print(
        f"{found} estimates in {len(results)} images, median "
        f"{report.number(seconds, 2)} s per image",
        markup=False,
    )
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        values = report.as_json(summary, scored, results, names, detection)
        args.json.write_text(json_text(values))
