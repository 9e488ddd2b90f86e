"""`sam6d offline`: the objects in every frame of a bag, without a running graph."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sam6d_ros.apps.cli.bag_options import (
    add_bag_option,
    add_storage_option,
    add_topic_options,
    non_negative,
    positive_int,
    topic_names,
)
from sam6d_ros.apps.cli.bag_summary import BagSummary
from sam6d_ros.apps.cli.frame_warnings import check_frame
from sam6d_ros.apps.cli.objects import add_object_options, load_models, read_settings
from sam6d_ros.apps.cli.options import (
    CONSOLE,
    add_backend_options,
    add_command,
    add_rejection_options,
    load_engine,
    result_console,
    ros_modules,
)
from sam6d_ros.errors import InvalidBag
from sam6d_ros.runtime.error_table import NOTHING_FOUND

if TYPE_CHECKING:
    from sam6d_ros.apps.ros.bags.process import OfflineRun

REASONS_SHOWN = 5
INTERRUPTED = 130  # as of a process that the signal ended

DESCRIPTION = """\
Find objects in the frames of a ROS 2 bag (MCAP or SQLite), as fast as the machine can, without a
running ROS graph. Writes a new bag to --out with what the nodes would publish:

  /pose_node/detections      vision_msgs/Detection3DArray
  /segmentation_node/masks   sam6d_ros/InstanceMaskArray
  /tf                        tf2_msgs/TFMessage

and in the same folder poses.json and poses.csv. The camera's topics are found by type, encoding
and name when that leaves no choice. Frames that cannot be used are counted by their reason.

examples:
  sam6d offline --bag table --out poses --objects objects.yaml
  sam6d offline --bag table --out poses --cad mug.ply --every 10 --keep-input
  sam6d offline --bag table --out poses --objects objects.yaml --rgb-topic /cam/rgb \\
      --depth-topic /cam/depth --info-topic /cam/info

exit codes: 0 found, 3 nothing found in any frame, 2 bad input, 1 frames broke the engine"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register the subcommand."""
    parser = add_command(
        commands, "offline", "find objects in the frames of a ROS 2 bag", DESCRIPTION
    )
    group = parser.add_argument_group("input")
    add_bag_option(group)
    add_topic_options(group)
    group.add_argument(
        "--slop-s",
        type=non_negative,
        default=0.02,
        metavar="S",
        help="largest difference of paired stamps (default: %(default)s); 0 pairs equal ones only",
    )
    group.add_argument(
        "--every", type=positive_int, default=1, metavar="N", help="use every N-th frame"
    )
    add_object_options(parser)
    add_backend_options(parser)
    group = parser.add_argument_group("result")
    group.add_argument("--out", type=Path, required=True, metavar="BAG", help="folder to make")
    add_storage_option(group)
    group.add_argument(
        "--keep-input", action="store_true", help="copy all topics of the bag into the result"
    )
    group.add_argument(
        "--tf-prefix", default="", metavar="TEXT", help="put before every TF child frame's name"
    )
    add_rejection_options(group)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Read, estimate, write and report."""
    with ros_modules("offline"):
        from sam6d_ros.apps.ros.bags.frames import first_frame
        from sam6d_ros.apps.ros.bags.process import OfflineRun
        from sam6d_ros.apps.ros.bags.reader import BagReader
        from sam6d_ros.apps.ros.bags.signals import Interruption
        from sam6d_ros.apps.ros.bags.writer import BagWriter, refuse_existing
        from sam6d_ros.frames.bags.topics import camera_topics
    refuse_existing(args.out)  # before the backend is loaded
    with BagReader(args.bag) as bag:
        camera = camera_topics(bag, *topic_names(args))
        names = ", ".join(topic.name for topic in camera.all())
        CONSOLE.print(f"camera: {names}", markup=False, soft_wrap=True)
        models = load_models(args, args.cad)
        if frame := first_frame(bag, camera, args.slop_s):
            check_frame(models, frame)
        settings = read_settings(args)
        engine = load_engine(args, models, args.min_score, args.max_instances, settings)
        with BagWriter(args.out, args.storage) as writer, Interruption() as interruption:
            work = OfflineRun(
                *(bag, camera, engine, writer),
                every=args.every,
                slop_s=args.slop_s,
                keep_input=args.keep_input,
                tf_prefix=args.tf_prefix,
            )
            with progress_bar() as bar, BagSummary(args.out, args.bag, models) as summary:
                task = bar.add_task("messages", total=work.messages)
                for result in work.results(lambda: interruption.asked, lambda: bar.advance(task)):
                    summary.add(result.frame, result.poses)
    if interruption.asked:
        CONSOLE.print(f"interrupted; what was done is in {args.out}", markup=False)
    report(args.out, work, summary)
    if interruption.asked:
        return INTERRUPTED
    return exit_code(args, work, summary)


def progress_bar() -> Progress:
    """Messages read of those in the bag."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeRemainingColumn(), console=CONSOLE)


def report(out: Path, work: OfflineRun, summary: BagSummary) -> None:
    """Print the number of poses and the frames that could not be used."""
    show_reasons("messages could not be read", work.source.unreadable)
    show_reasons("frames could not be used", work.bad)
    show_reasons("frames broke the engine", work.failed)
    result_console().print(
        f"{summary.poses} poses in {summary.frames} of {work.used} frames "
        f"({work.sets} in the bag); see {out}/poses.csv, {out}/poses.json",
        markup=False,
        soft_wrap=True,
    )


def show_reasons(what: str, reasons: Counter[str]) -> None:
    """The number of cases, and the most frequent reasons."""
    if not reasons:
        return
    CONSOLE.print(f"{reasons.total()} {what}:", markup=False)
    for reason, count in reasons.most_common(REASONS_SHOWN):
        CONSOLE.print(f"  {count} × {reason}", markup=False, soft_wrap=True)


def exit_code(args: argparse.Namespace, work: OfflineRun, summary: BagSummary) -> int:
    """Return the exit code that the help text states.

    Raises:
        InvalidBag: not one frame could be used.
    """
    if work.failed:
        return 1
    if not summary.frames:
        reasons = work.bad.most_common(1) or [(work.source.problem(), 0)]
        raise InvalidBag(f"{args.bag}: no frame could be used: {reasons[0][0]}")
    return 0 if summary.poses else NOTHING_FOUND
