"""`sam6d record`: topics of the ROS graph into a bag."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sam6d_ros.apps.cli.bag_options import add_storage_option, positive, topic_name
from sam6d_ros.apps.cli.options import (
    CONSOLE,
    add_command,
    ros_modules,
)
from sam6d_ros.errors import InvalidConfig

if TYPE_CHECKING:
    from sam6d_ros.apps.ros.bags.writer import BagWriter
    from sam6d_ros.apps.ros.node.session import GraphSession

NOTHING_RECORDED = 3
LOOK_AROUND_EVERY_S = 0.2
QUIET_S, LONGEST_END_S = 0.1, 0.5

DESCRIPTION = """\
Write topics of the ROS graph into a ROS 2 bag, as they come, until Ctrl-C or --duration. Topics
may appear later. Messages that were sent but did not arrive are counted.

examples:
  sam6d record --out table /camera/color/image_raw /camera/color/camera_info
  sam6d record --out results --all --storage sqlite3
  sam6d record --out results --duration 10 --use-sim-time /pose_node/detections /tf
  sam6d record --out scene --frames ycbv/test/000048 --rate 5

--frames needs no graph: it writes image files, such as a scene in BOP format, as a camera would."""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register the subcommand."""
    parser = add_command(commands, "record", "write topics into a bag", DESCRIPTION)
    parser.add_argument(
        "topics", type=topic_name, nargs="*", metavar="TOPIC", help="what to record"
    )
    parser.add_argument(
        "--all", action="store_true", help="all topics that are not hidden, as they appear"
    )
    parser.add_argument(
        "--frames", type=Path, metavar="DIR", help="folder with rgb/, depth/ and a camera file"
    )
    parser.add_argument(
        "--rate", type=positive, default=5.0, metavar="HZ", help="of --frames (default: 5)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="BAG", help="folder to make")
    add_storage_option(parser)
    parser.add_argument(
        "--duration", type=positive, metavar="S", help="end after S seconds (default: at Ctrl-C)"
    )
    parser.add_argument(
        "--use-sim-time", action="store_true", help="record with the time of /clock"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the requested messages into a bag, and report."""
    if sum(map(bool, (args.all, args.topics, args.frames))) != 1:
        raise InvalidConfig("name the topics to record, or give --all, or --frames DIR")
    return record_frames(args) if args.frames else record_topics(args)


def record_frames(args: argparse.Namespace) -> int:
    """Image files into a bag."""
    with ros_modules("record"):
        from sam6d_ros.apps.ros.bags.from_frames import write_frames
        from sam6d_ros.apps.ros.bags.writer import BagWriter
        from sam6d_ros.frames.recordings import Recording
    recording = Recording(args.frames)
    with BagWriter(args.out, args.storage) as writer:
        write_frames(recording, writer, time.time_ns(), args.rate)
    report(args.out, writer.counts, {}, [])
    return 0


def record_topics(args: argparse.Namespace) -> int:
    """Record topics into a bag until interrupted."""
    with ros_modules("record"):
        from sam6d_ros.apps.ros.bags.recorder import Recorder
        from sam6d_ros.apps.ros.bags.signals import Interruption
        from sam6d_ros.apps.ros.bags.writer import BagWriter
        from sam6d_ros.apps.ros.node.session import GraphSession
    with (
        Interruption() as interruption,
        GraphSession("sam6d_record", args.use_sim_time) as session,
        BagWriter(args.out, args.storage) as writer,
    ):
        recorder = Recorder(session.node, writer, args.topics or None)
        CONSOLE.print(f"recording into {args.out}; Ctrl-C ends it", markup=False)
        end_s = time.monotonic() + (args.duration or float("inf"))
        look_s = 0.0
        while not interruption.asked and (now_s := time.monotonic()) < end_s:
            # In simulated time nothing can be dated before the clock runs.
            if now_s >= look_s and session.node.get_clock().now().nanoseconds:
                recorder.look_around()
                look_s = now_s + LOOK_AROUND_EVERY_S
            session.spin_once()
        take_the_rest(session, writer)
    report(args.out, writer.counts, recorder.lost, recorder.missing())
    return 0 if any(writer.counts.values()) else NOTHING_RECORDED


def take_the_rest(session: GraphSession, writer: BagWriter) -> None:
    """Write what had arrived when the end was asked for: until it is quiet, but not for long."""
    end_s = time.monotonic() + LONGEST_END_S
    before = -1
    while (count := sum(writer.counts.values())) != before and time.monotonic() < end_s:
        before = count
        session.spin_once(QUIET_S)


def report(out: Path, counts: dict[str, int], lost: Mapping[str, int], missing: list[str]) -> None:
    """Print the recorded, lost and missing messages."""
    for topic, count in sorted(counts.items()):
        note = f", {lost[topic]} lost" if topic in lost else ""
        CONSOLE.print(f"{topic}: {count} messages{note}", markup=False)
    for topic in missing:
        CONSOLE.print(f"{topic}: no publisher", markup=False)
    CONSOLE.print(f"{sum(counts.values())} messages in {out}", markup=False)
