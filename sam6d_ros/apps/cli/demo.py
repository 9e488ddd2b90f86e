"""`sam6d demo`: the whole ROS 2 graph on a scene with known poses."""

from __future__ import annotations

import argparse
from pathlib import Path

from sam6d_ros.apps.cli.options import add_command, ros_modules

DESCRIPTION = """\
Start replay, segmentation and pose nodes as processes over DDS, wait for the poses, compare them
with the ground truth and write an overlay picture. Without --dataset the scene is made up:
several objects on a table, simulated sensor noise.

examples:
  sam6d demo
  sam6d demo --seed 7 --out demo_7
  sam6d demo --dataset ycbv --scene 48"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register the subcommand."""
    parser = add_command(commands, "demo", "poses over a running ROS 2 graph", DESCRIPTION)
    parser.add_argument("--dataset", type=Path, metavar="DIR", help="dataset in BOP format")
    parser.add_argument("--scene", type=int, metavar="N", help="its scene (default: the first)")
    parser.add_argument("--out", type=Path, default=Path("demo_out"), metavar="DIR")
    parser.add_argument("--seed", type=int, default=0, help="which made-up scene (default 0)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Hand over to the ROS shell, which needs ROS 2."""
    with ros_modules("demo"):
        from sam6d_ros.apps.ros.demo import run_demo
    return int(run_demo(dataset=args.dataset, scene=args.scene, out=args.out, seed=args.seed))
