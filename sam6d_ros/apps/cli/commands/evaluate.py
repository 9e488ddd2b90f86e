"""`sam6d eval`: accuracy and time on a dataset in BOP format."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.progress import track

from sam6d_ros.apps.cli import evaluate_all
from sam6d_ros.apps.cli.boxes import add_detector_options
from sam6d_ros.apps.cli.evaluate_checks import refuse_foreign, refuse_unscored
from sam6d_ros.apps.cli.evaluate_fleet import FleetRun
from sam6d_ros.apps.cli.evaluate_run import MethodRun, run_method
from sam6d_ros.apps.cli.fleet_options import add_fleet_options
from sam6d_ros.apps.cli.options import CONSOLE, add_backend_options, add_command, result_console
from sam6d_ros.cad.bop_models import load_bop_models
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.errors import InvalidInput
from sam6d_ros.evaluation import report, runner
from sam6d_ros.evaluation.bop import BopDataset, ImageTargets
from sam6d_ros.evaluation.detection import DetectionScore, score_detection
from sam6d_ros.evaluation.results_csv import ImageResult, read_csv, write_csv
from sam6d_ros.json_text import json_text

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
  sam6d eval ycbv --csv out.csv --ray                 on all cores; call it again to resume
  sam6d eval ycbv --csv out.csv --ray head:6379       on a Ray cluster (docs/fleet.md)
  sam6d eval ycbv --from-csv theirs_ycbv-test.csv     score results of another method

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
    add_fleet_options(parser).add_argument(
        "--shards",
        type=Path,
        metavar="DIR",
        help="folder of the results of single images, from which an interrupted run goes on "
        "(default: beside the CSV file; without one, only until the end of the run)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run or read results, score them where there is ground truth, report and write.

    Returns:
        Exit code.

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
    if args.from_csv:
        done = read_method(args, dataset, targets)
    elif args.ray is not None:
        done = FleetRun(args, dataset, targets, models).run()
    else:
        done = run_method(args, dataset, targets, models)
    if args.csv:
        write_csv(args.csv, done.results)
    detection = score_detection(dataset, targets, done.results, models)
    progress = track(targets, "scoring", console=CONSOLE, transient=True)
    scored = list(runner.score_results(dataset, progress, done.results, models, done.reject_below))
    print_report(args, scored, done.results, models, detection)
    if not done.exit_code and (args.from_csv or not args.csv):
        refuse_unscored(dataset, targets)
    return done.exit_code


def load_models(
    dataset: BopDataset, obj_ids: Sequence[int], cache_dir: Path
) -> dict[int, ObjectModel]:
    """Onboard the objects by id, under the dataset's names where those are unique."""
    loaded = load_bop_models(dataset.models_dir, obj_ids, cache_dir)
    models = dict(zip(obj_ids, loaded, strict=True))
    if len({model.name for model in loaded}) < len(loaded):
        return {i: replace(model, name=f"obj_{i:06d}") for i, model in models.items()}
    return models


def read_method(
    args: argparse.Namespace, dataset: BopDataset, targets: Sequence[ImageTargets]
) -> MethodRun:
    """Read the results of a file; the threshold applies if one is given.

    Returns:
        The results of the targets.

    Raises:
        InvalidDataset: the file is missing or damaged, or no row is of a target.
        InvalidInput: the threshold is out of its range, or an option does not fit.
    """
    if args.ray is not None:
        raise InvalidInput("--ray does not go with --from-csv, which runs nothing")
    min_score = 0.0 if args.min_score is None else args.min_score
    rows = read_csv(args.from_csv)
    results = [runner.accepted(result, min_score) for result in rows]
    refuse_foreign(args.from_csv, rows, dataset, targets)
    return MethodRun(results, 0, min_score)


def print_report(
    args: argparse.Namespace,
    scored: Sequence[runner.ScoredTarget],
    results: Sequence[ImageResult],
    models: dict[int, ObjectModel],
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
