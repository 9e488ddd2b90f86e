"""`sam6d replay`: a bag played into the ROS graph."""

from __future__ import annotations

import argparse

from sam6d_ros.apps.cli.bag_options import add_bag_option, non_negative, positive, topic_name
from sam6d_ros.apps.cli.options import (
    CONSOLE,
    add_command,
    ros_modules,
)
from sam6d_ros.errors import InvalidConfig

CLOCK_HZ = 40.0  # rosbag2's default
# Messages later than this did not keep the bag's pace.
NOTABLE_DELAY_S = 0.1

DESCRIPTION = """\
Play a ROS 2 bag (MCAP or SQLite) into the ROS graph: the recorded bytes, with the quality of
service and at the pace at which they were recorded. With --clock the time of the bag is published
on /clock, for nodes with use_sim_time; it stands still while something is waited for.

examples:
  sam6d replay --bag table
  sam6d replay --bag table --clock --wait-for /segmentation_node/ready /pose_node/ready
  sam6d replay --bag table --rate 0.5 --loop --topics /camera/color/image_raw
  sam6d replay --bag table --remap /camera/color/image_raw:=/cam/rgb --start 2 --duration 5"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register the subcommand."""
    parser = add_command(commands, "replay", "play a bag into the ROS graph", DESCRIPTION)
    add_bag_option(parser)
    group = parser.add_argument_group("what to play")
    group.add_argument(
        "--topics", type=topic_name, nargs="+", default=[], metavar="TOPIC", help="only these"
    )
    group.add_argument(
        "--remap",
        type=remapping,
        nargs="+",
        default=[],
        metavar="A:=B",
        help="publish the bag's topic A under the name B",
    )
    group.add_argument(
        "--start", type=non_negative, default=0.0, metavar="S", help="begin S seconds into the bag"
    )
    group.add_argument(
        "--duration", type=positive, metavar="S", help="play S seconds of the bag (default: all)"
    )
    group = parser.add_argument_group("how to play")
    group.add_argument(
        "--rate", type=positive, default=1.0, help="bag seconds per second (default: 1)"
    )
    group.add_argument("--loop", action="store_true", help="begin again at the end, until Ctrl-C")
    group.add_argument(
        "--clock",
        type=positive,
        nargs="?",
        const=CLOCK_HZ,
        default=0.0,
        metavar="HZ",
        help="publish the bag's time on /clock so often (default: %(const)g per second)",
    )
    group.add_argument(
        "--wait-for",
        type=topic_name,
        nargs="+",
        default=[],
        metavar="TOPIC",
        help="latched std_msgs/Bool topics that must be true before the first message",
    )
    group.add_argument(
        "--wait-for-subscribers",
        type=topic_name,
        nargs="+",
        default=[],
        metavar="TOPIC",
        help="topics that must have a reader before the first message",
    )
    parser.set_defaults(run=run)


def remapping(text: str) -> tuple[str, str]:
    """Two topic names out of ``a:=b``."""
    before, separator, after = text.partition(":=")
    if not (before and separator and after):
        raise argparse.ArgumentTypeError(f"{text!r}; expected OLD:=NEW")
    return topic_name(before), topic_name(after)


def run(args: argparse.Namespace) -> int:
    """Open, wait, play and report."""
    with ros_modules("replay"):
        from sam6d_ros.apps.ros.bags.player import Player, PlayOptions
        from sam6d_ros.apps.ros.bags.reader import BagReader
        from sam6d_ros.apps.ros.bags.signals import Interruption
        from sam6d_ros.apps.ros.node.session import GraphSession
    options = PlayOptions(
        rate=args.rate,
        loop=args.loop,
        clock_hz=args.clock,
        topics=args.topics,
        remap=dict(args.remap),
        start_s=args.start,
        duration_s=args.duration,
        wait_for=args.wait_for,
        wait_for_subscribers=args.wait_for_subscribers,
    )
    with (
        Interruption() as interruption,
        BagReader(args.bag) as bag,
        GraphSession("sam6d_replay") as session,
    ):
        unknown = sorted(set(options.remap) - {topic.name for topic in bag.topics})
        if unknown:
            raise InvalidConfig(f"--remap names {unknown}, which {args.bag} does not have")
        player = Player(bag, session, options, lambda: interruption.asked)
        player.play(lambda text: CONSOLE.print(text, markup=False))
    CONSOLE.print(f"{player.sent} messages sent", markup=False)
    if player.latest_s > NOTABLE_DELAY_S:
        CONSOLE.print(
            f"note: messages were up to {player.latest_s:.2f} s late; this machine cannot keep "
            "the pace. Lower --rate, or name the --topics that matter",
            markup=False,
        )
    return 0
