"""`sam6d estimate`: the objects in one frame."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from sam6d_ros import exchange, frames, visualize
from sam6d_ros.apps.cli import explain, output
from sam6d_ros.apps.cli.boxes import add_detector_options, boxes_in, detector_of, show_warning
from sam6d_ros.apps.cli.objects import add_object_options, load_models, read_settings
from sam6d_ros.apps.cli.options import (
    CONSOLE,
    add_backend_options,
    add_command,
    add_rejection_options,
    load_engine,
    result_console,
)
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.errors import InvalidInput, InvalidMesh
from sam6d_ros.pipeline import Record, RunContext
from sam6d_ros.runtime.plausibility import size_doubt
from sam6d_ros.types import Frame, PoseEstimates, Scene

NOTHING_FOUND = 3
REJECTED_SHOWN = 5

DESCRIPTION = """\
Find objects in one RGB-D frame. Without --out the poses are printed as JSON to stdout, and nothing
else; with --out these are written:

  poses.json    per instance: name, score in [0, 1], R (3×3), t (metres), quaternion xyzw, CAD
                box, image box, mask (COCO RLE); camera_from_object, camera optical frame;
                each rejected pose with the threshold that rejected it
  overlay.png   contour, box and axes (x red, y green, z blue) over the image
  debug/        with --debug: pictures that explain a wrong pose; begin with debug/index.md

examples:
  sam6d estimate --rgb rgb.png --depth depth.png --camera camera.json --cad mug.ply --out out
  sam6d estimate --rgb rgb.png --depth depth.png --camera camera.json --cad mug.ply
  sam6d estimate --rgb rgb/000001.png --depth depth/000001.png --camera scene_camera.json \\
        --cad obj_000001.ply --cad obj_000003.ply --cad-unit mm --out out --debug
  sam6d estimate --rgb color.png --depth depth.npy --camera camera_info.yaml \\
        --objects objects.yaml --out out
  sam6d estimate --rgb rgb.png --depth depth.png --camera camera.json --objects objects.yaml \\
        --detector repo/fasterrcnn --out out      only in the boxes of detector_classes

exit codes: 0 found, 3 nothing found (the reason is printed), 2 bad input"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register the subcommand."""
    parser = add_command(commands, "estimate", "find objects in one frame", DESCRIPTION)
    add_frame_options(parser.add_argument_group("frame"))
    add_object_options(parser)
    add_backend_options(parser)
    add_detector_options(parser)
    group = parser.add_argument_group("result")
    group.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder to write to (default: print the poses as JSON to stdout)",
    )
    add_rejection_options(group)
    group.add_argument("--debug", action="store_true", help="write the debug/ folder to --out too")
    parser.set_defaults(run=run)


def add_frame_options(group: argparse._ArgumentGroup) -> None:
    """The files of the frame."""
    group.add_argument("--rgb", type=Path, required=True, metavar="FILE", help="colour image")
    group.add_argument(
        "--depth",
        type=Path,
        required=True,
        metavar="FILE",
        help="depth registered to the colour image: 16-bit PNG or TIFF (millimetres × depth "
        "scale), or floats in metres (.npy, .tiff, .exr); 0 or NaN is invalid",
    )
    group.add_argument(
        "--camera",
        type=Path,
        required=True,
        metavar="FILE",
        help="intrinsics: BOP camera.json or scene_camera.json, or a ROS CameraInfo YAML",
    )
    group.add_argument(
        "--depth-scale",
        type=float,
        metavar="MM",
        help="millimetres per unit of the depth image (default: the camera file's, else 1)",
    )
    group.add_argument(
        "--image-id",
        type=int,
        metavar="N",
        help="entry of scene_camera.json (default: the number in the colour image's name)",
    )


def run(args: argparse.Namespace) -> int:
    """Read the frame, estimate, and write or print the poses.

    Raises:
        InvalidInput: ``--debug`` without ``--out``.
    """
    if args.debug and args.out is None:
        raise InvalidInput("--debug writes pictures; state their folder by --out")
    image_id = stem_number(args.rgb) if args.image_id is None else args.image_id
    frame = frames.load_frame(args.rgb, args.depth, args.camera, args.depth_scale, image_id)
    note = frames.read_camera(args.camera, image_id).note
    if note:
        CONSOLE.print(f"note: {note}")
    models = load_models(args, args.cad)
    for model in models:
        if model.is_unit_assumed:
            note = f"unit {model.unit_note}; if that is wrong, state it with --cad-unit"
            CONSOLE.print(f"note: {model.name}: {note}", markup=False)
    refuse_doubtful(models, frame)
    settings = read_settings(args)
    engine = load_engine(args, models, args.min_score, args.max_instances, settings)
    record = Record() if args.debug else None
    ctx = RunContext(record=record, on_warning=show_warning)
    with detector_of(args) as detector, CONSOLE.status("estimating"):
        poses = engine.run(frame, ctx=ctx, boxes=boxes_in(frame, detector))
    values = exchange.poses_as_json(frame, poses, by_name(models), inputs(args))
    if args.out is None:
        print(exchange.json_text(values))
        if not len(poses):
            CONSOLE.print(nothing_found(poses), markup=False)
        return 0 if len(poses) else NOTHING_FOUND
    write_results(args.out, frame, poses, models, values)
    if record:
        explain.write_debug(args.out / "debug", frame, record, poses, engine.objects)
    tell(poses, args.out)
    return 0 if len(poses) else NOTHING_FOUND


def stem_number(path: Path) -> int | None:
    """The number that a file is named by, if it is."""
    return int(path.stem) if path.stem.isdigit() else None


def refuse_doubtful(models: Sequence[ObjectModel], frame: Frame) -> None:
    """Stop when no object fits the scene; one of several that does not is only reported.

    Raises:
        InvalidMesh: the size of every object is doubtful.
    """
    scene = Scene(frame)
    doubts = [doubt for model in models if (doubt := size_doubt(model, scene))]
    if len(doubts) == len(models):
        raise InvalidMesh(doubts[0])
    for doubt in doubts:
        CONSOLE.print(f"note: {doubt}")


def by_name(models: Sequence[ObjectModel]) -> dict[str, ObjectModel]:
    """Return the models by name."""
    return {model.name: model for model in models}


def inputs(args: argparse.Namespace) -> dict[str, str]:
    """Return the files of the frame, for the result."""
    return {name: str(getattr(args, name)) for name in ("rgb", "depth", "camera")}


def write_results(
    out: Path,
    frame: Frame,
    poses: PoseEstimates,
    models: Sequence[ObjectModel],
    values: Mapping[str, Any],
) -> None:
    """Write poses.json and overlay.png."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "poses.json").write_text(exchange.json_text(values))
    overlay = visualize.draw_poses(frame.rgb, frame.camera, poses.items, by_name(models))
    output.write_png(out / "overlay.png", overlay)


def nothing_found(poses: PoseEstimates) -> str:
    """Return the line of an empty result."""
    return f"nothing found: {poses.reason or 'no reason was given'}"


def tell(poses: PoseEstimates, out: Path) -> None:
    """Print the poses, or why there is none, and where the files are."""
    console = result_console()
    if len(poses):
        table = Table()
        table.add_column("object")
        for column in ("score", "x m", "y m", "z m", "quaternion xyzw"):
            table.add_column(column, justify="right")
        for pose in poses.items:
            table.add_row(pose.class_id, f"{pose.score:.2f}", *output.pose_text(pose))
        console.print(table)
    else:
        console.print(nothing_found(poses), markup=False)
    for line in rejected_lines(poses):
        console.print(line, markup=False, soft_wrap=True)
    seconds = poses.timings_s.get("total", sum(poses.timings_s.values()))
    console.print(f"{seconds:.2f} s; see {out}/overlay.png, {out}/poses.json", soft_wrap=True)


def rejected_lines(poses: PoseEstimates) -> list[str]:
    """Return why detections have no pose in the result; the reason of an empty one has the best."""
    rejected = poses.rejected if len(poses) else poses.rejected[1:]
    lines = [f"rejected: {item.instance_id}: {item.reason}" for item in rejected[:REJECTED_SHOWN]]
    more = len(rejected) - REJECTED_SHOWN
    return [*lines, f"and {more} more, see poses.json"] if more > 0 else lines
