"""`sam6d demo`: a scene with known poses, over a ROS 2 graph or without one."""

from __future__ import annotations

import argparse
from pathlib import Path

from sam6d_ros import exchange
from sam6d_ros.apps.cli.estimate_results import nothing_found, rejected_lines
from sam6d_ros.apps.cli.objects import add_unit_option
from sam6d_ros.apps.cli.options import CONSOLE, add_command, result_console, ros_modules
from sam6d_ros.apps.environment import default_cache_dir
from sam6d_ros.apps.ros.demo import report as demo_report
from sam6d_ros.apps.ros.demo.scene import DemoScene, Task, make_task
from sam6d_ros.errors import InvalidInput
from sam6d_ros.json_text import json_text
from sam6d_ros.runtime.build import EngineSpec, build_engine
from sam6d_ros.runtime.objects import ObjectSet
from sam6d_ros.types import PoseEstimates

DESCRIPTION = """\
Find the objects of one image, compare the poses with the ground truth and write a picture. The
scene is synthetic (several objects on a table, simulated sensor noise), with --cad around your own
parts, with --dataset of a data set.

By default replay, segmentation and pose nodes run as processes over DDS, which needs ROS 2; with
--no-ros the same stages run in this process.

examples:
  sam6d demo
  sam6d demo --no-ros
  sam6d demo --no-ros --cad bracket.stl --cad-unit mm
  sam6d demo --seed 7 --out demo_7
  sam6d demo --dataset ycbv --scene 48

exit codes: 0 a pose is right, 1 all poses are wrong, 3 nothing found, else as `sam6d`"""

NEXT = """\
next (first: source .venv/bin/activate; docs/tutorial.md has each step):
  your part in such a scene    sam6d demo --no-ros --cad part.stl --cad-unit mm
  a frame of your camera       sam6d estimate --rgb rgb.png --depth depth.png --camera camera.json \
--cad part.stl --cad-unit mm --out out
  your camera's topics         ros2 launch sam6d_ros pipeline.launch.py objects_file:=objects.yaml \
camera_ns:=/camera
                               without the command ros2: see docs/ros.md#without-a-distribution"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register the subcommand."""
    parser = add_command(commands, "demo", "poses in a scene with known truth", DESCRIPTION)
    parser.add_argument("--no-ros", action="store_true", help="run without a ROS 2 graph")
    parser.add_argument("--dataset", type=Path, metavar="DIR", help="dataset in BOP format")
    parser.add_argument("--scene", type=int, metavar="N", help="its scene (default: the first)")
    parser.add_argument(
        "--cad",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="CAD file to put into the synthetic scene instead of its own objects; repeatable",
    )
    add_unit_option(parser)
    parser.add_argument("--out", type=Path, default=Path("demo_out"), metavar="DIR")
    parser.add_argument(
        "--seed", type=int, default=0, help="number of the synthetic scene (default: 0)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the demo over a graph or in this process; print what to do next.

    Returns:
        Exit code.

    Raises:
        InvalidInput: options exclude each other, or the dataset or a CAD file is unusable.
        BackendUnavailable: ROS 2 is not installed, and ``--no-ros`` is not stated.
    """
    if args.dataset and args.cad:
        raise InvalidInput("--dataset and --cad exclude each other; state one of them")
    scene = DemoScene(args.dataset, args.scene, args.cad, args.cad_unit, args.seed)
    if args.no_ros:
        code = run_here(scene, args.out)
    else:
        with ros_modules("demo", "; `sam6d demo --no-ros` needs no ROS 2"):
            from sam6d_ros.apps.ros.demo.run import run_demo
        code = int(run_demo(scene, args.out))
    result_console().print(NEXT, markup=False, soft_wrap=True)
    return code


def run_here(scene: DemoScene, out: Path) -> int:
    """Search the scene in this process; print the errors, write picture and poses.

    Returns:
        Exit code, see ``report.exit_code``.
    """
    out.mkdir(parents=True, exist_ok=True)
    with CONSOLE.status("preparing the scene"):
        task = make_task(scene, out)
    poses = estimate(task)
    overlay = demo_report.write_overlay(task.frame, poses, task.models, out / "overlay.png")
    by_name = {model.name: model for model in task.models.values()}
    values = exchange.poses_as_json(task.frame, poses, by_name, {"scene": str(task.scene_dir)})
    (out / "poses.json").write_text(json_text(values))
    matches = demo_report.match(task.truth, poses, task.models)
    console = result_console()
    console.print(demo_report.table(matches, poses))
    for line in (*([] if len(poses) else [nothing_found(poses)]), *rejected_lines(poses)):
        console.print(line, markup=False, soft_wrap=True)
    console.print(f"picture: {overlay}\nposes:   {out / 'poses.json'}", soft_wrap=True)
    return demo_report.exit_code(matches, poses)


def estimate(task: Task) -> PoseEstimates:
    """Return the poses of the image by the stages that run here."""
    objects = ObjectSet({model.name: model for model in task.models.values()})
    with CONSOLE.status("loading (the first time takes longest)") as status:
        engine = build_engine(
            EngineSpec(cache_dir=default_cache_dir(), objects=objects), status.update
        )
    with CONSOLE.status("estimating"):
        return engine.run(task.frame)
