"""`sam6d label`: poses and masks of recordings as a dataset in BOP format."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from sam6d_ros.apps.cli.bag_options import positive_int
from sam6d_ros.apps.cli.boxes import add_detector_options
from sam6d_ros.apps.cli.fleet_options import add_fleet_options, gravest_code, pool_of, show_batch
from sam6d_ros.apps.cli.frame_warnings import check_frame
from sam6d_ros.apps.cli.objects import add_object_options, load_models, read_settings
from sam6d_ros.apps.cli.options import (
    CONSOLE,
    add_backend_options,
    add_command,
    add_rejection_options,
    config_of,
    result_console,
    ros_modules,
)
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.errors import InvalidCamera, InvalidFrame
from sam6d_ros.fleet.label import SPLIT, LabelFolder
from sam6d_ros.fleet.recordings import FolderRecording, LabelSource, is_bag, recording_folders
from sam6d_ros.fleet.shards import ShardFolder
from sam6d_ros.fleet.tasks import FrameTask, Work
from sam6d_ros.runtime.error_table import NOTHING_FOUND

DESCRIPTION = """\
Find objects in the frames of many recordings and write poses and masks as a dataset in BOP format,
to train detectors with. A recording is a folder with rgb/, depth/ and a camera file, a folder of
such folders, or a ROS 2 bag (MCAP or SQLite).

  OUT/models/                     the objects, numbered in their order, and models_info.json
  OUT/train/000000/               one scene per recording: rgb/, depth/, mask_visib/,
                                  scene_camera.json, scene_gt.json, scene_gt_info.json and
                                  scene_gt_coco.json
  OUT/failed.json                 frames without a result, with the reason
  OUT/shards/                     results of single frames, from which an interrupted run goes on

examples:
  sam6d label --frames table/ shelf/ --objects objects.yaml --out labels
  sam6d label --frames bags/monday.mcap --every 10 --objects objects.yaml --out labels
  sam6d label --frames recordings/ --objects objects.yaml --out labels --ray head:6379

exit codes: as `sam6d`; frames that fail are shown and the others labelled, the code is that of the
            gravest failure; 3 if nothing was found in any frame"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register the subcommand."""
    summary = "poses and masks of recordings, to train detectors with"
    parser = add_command(commands, "label", summary, DESCRIPTION)
    group = parser.add_argument_group("input")
    group.add_argument(
        "--frames",
        type=Path,
        nargs="+",
        required=True,
        metavar="PATH",
        help="recordings: folders of frames, folders of such folders, bags",
    )
    group.add_argument(
        "--every", type=positive_int, default=1, metavar="N", help="use every N-th frame"
    )
    add_object_options(parser)
    add_backend_options(parser)
    add_detector_options(parser)
    group = parser.add_argument_group("result")
    group.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    add_rejection_options(group)
    add_fleet_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Label the frames that have no result yet, then write all labels."""
    recordings = [*recordings_of(args)]
    models = load_models(args, args.cad)
    refuse_wrong_sizes(recordings, models)
    work = Work(
        config_of(args, args.min_score, args.max_instances),
        args.cache_dir,
        tuple(models),
        read_settings(args),
        with_masks=True,
        detector=args.detector or "",
        detector_threshold=args.detector_threshold,
    )
    with ShardFolder(args.out / "shards", work.statement()) as shards:
        labels = LabelFolder(args.out, models)
        tasks = (
            task
            for recording in recordings
            for task in recording.tasks(shards.is_done, labels.scene_of(recording))
        )
        total = sum(recording.count for recording in recordings)
        label(args, work, shards, tasks, total)
        labels.write_objects()
        for recording in recordings:
            labels.write_scene(recording, shards.records)
        keys = [image.key for recording in recordings for image in recording.images]
        results = [shards.records[key] for key in keys]
        failed = labels.write_failed(results)
    found = sum(len(result.found) for result in results)
    text = f"{found} instances in {len(results) - failed} of {len(results)} frames"
    result_console().print(f"{text}; see {args.out}/{SPLIT}", markup=False, soft_wrap=True)
    return gravest_code(results) or (0 if found else NOTHING_FOUND)


def refuse_wrong_sizes(recordings: Sequence[LabelSource], models: Sequence[ObjectModel]) -> None:
    """Stop if no object fits the first frame of files that can be read.

    Raises:
        InvalidMesh: the size of no object fits the scene.
    """
    for image in (image for recording in recordings for image in recording.images):
        if image.files is not None:
            with suppress(InvalidFrame, InvalidCamera):
                check_frame(models, image.files.load())
                return


def label(
    args: argparse.Namespace,
    work: Work,
    shards: ShardFolder,
    tasks: Iterator[FrameTask],
    total: int,
) -> None:
    """Work on the frames; without any, no engine is loaded."""
    first = next(tasks, None)
    if first is None:
        CONSOLE.print("all frames are done already", markup=False)
        return
    done = sum(result.is_final for result in shards.records.values())
    with pool_of(args, work) as pool:
        show_batch(pool, itertools.chain([first], tasks), shards, max(1, total - done))


def recordings_of(args: argparse.Namespace) -> Iterator[LabelSource]:
    """Yield the recordings of the options.

    Raises:
        InvalidDataset, InvalidBag: one of them is none.
        BackendUnavailable: a bag needs ROS 2, which is not installed.
    """
    for path in args.frames:
        if is_bag(path):
            with ros_modules("label"):
                from sam6d_ros.apps.ros.bags.labelling import BagRecording
            yield BagRecording(path, args.every)
        else:
            for folder in recording_folders(path):
                yield FolderRecording(folder, args.every)
