"""`sam6d estimate`: the objects in one frame."""

from __future__ import annotations

import argparse
from pathlib import Path

from sam6d_ros import frames
from sam6d_ros.apps.cli import debug_pictures
from sam6d_ros.apps.cli.bag_options import add_topic_options
from sam6d_ros.apps.cli.boxes import add_detector_options, boxes_in, detector_of, show_warning
from sam6d_ros.apps.cli.estimate_results import finish
from sam6d_ros.apps.cli.estimate_views import run_views
from sam6d_ros.apps.cli.frame_warnings import check_frame, check_result, depth_scale_of
from sam6d_ros.apps.cli.objects import add_object_options, load_models, read_settings
from sam6d_ros.apps.cli.options import (
    CONSOLE,
    add_backend_options,
    add_command,
    add_rejection_options,
    load_engine,
)
from sam6d_ros.apps.cli.recordings import EVERY_HELP
from sam6d_ros.apps.cli.viewers import add_viewer_options, check_viewers, show
from sam6d_ros.errors import InvalidInput
from sam6d_ros.pipeline import Record, RunContext
from sam6d_ros.runtime.pickable import pickable_first

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
  sam6d estimate --rgb rgb.png --depth depth.png --camera camera.json --cad mug.ply \\
        --rerun mug.rrd                           then: rerun mug.rrd
  sam6d estimate --recording scene --poses scene/scene_camera.json --objects objects.yaml
  sam6d estimate --recording bag --fixed-frame base_link --objects objects.yaml

exit codes: 0 found, 3 nothing found (the reason is printed), 2 bad input"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register the subcommand."""
    parser = add_command(commands, "estimate", "find objects in one frame", DESCRIPTION)
    add_frame_options(parser.add_argument_group("frame"))
    add_view_options(parser.add_argument_group("several views"))
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
    group.add_argument(
        "--order",
        choices=("score", "pickable"),
        default="score",
        help="order of the poses: by score, or parts that nothing hides first and among them the "
        "nearest (default: %(default)s)",
    )
    group.add_argument("--debug", action="store_true", help="write the debug/ folder to --out too")
    add_viewer_options(parser)
    parser.set_defaults(run=run)


def add_frame_options(group: argparse._ArgumentGroup) -> None:
    """The files of the frame."""
    group.add_argument("--rgb", type=Path, metavar="FILE", help="colour image")
    group.add_argument(
        "--depth",
        type=Path,
        metavar="FILE",
        help="depth registered to the colour image: 16-bit PNG or TIFF (millimetres × depth "
        "scale), or floats in metres (.npy, .tiff, .exr); 0 or NaN is invalid",
    )
    group.add_argument(
        "--camera",
        type=Path,
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


def add_view_options(group: argparse._ArgumentGroup) -> None:
    """Several frames of a moving camera instead of one."""
    group.add_argument(
        "--recording",
        type=Path,
        metavar="DIR",
        help="folder with rgb/, depth/ and a camera file, or a ROS 2 bag: objects at rest, seen "
        "from several places; the poses of all frames are joined, in the camera of the last",
    )
    group.add_argument(
        "--poses",
        type=Path,
        metavar="FILE",
        help="camera pose of each frame: BOP scene_camera.json with cam_R_w2c, TUM trajectory, or "
        "JSON list of 4 × 4 world_from_cam",
    )
    group.add_argument(
        "--fixed-frame",
        metavar="FRAME",
        help="camera poses from /tf of the bag, in this frame, in which the objects are at rest",
    )
    group.add_argument("--every", type=int, default=1, metavar="N", help=EVERY_HELP)
    add_topic_options(group)


def run(args: argparse.Namespace) -> int:
    """Read the frame, estimate, and write or print the poses.

    Returns:
        Exit code.

    Raises:
        BackendUnavailable: a viewer is not installed.
        InvalidInput: ``--debug`` without ``--out``; options missing; no object fits the frame.
    """
    check_options(args)
    check_viewers(args)
    if args.recording is not None:
        return run_views(args)
    image_id = stem_number(args.rgb) if args.image_id is None else args.image_id
    frame = frames.load_frame(args.rgb, args.depth, args.camera, args.depth_scale, image_id)
    camera = frames.read_camera(args.camera, image_id)
    if camera.note:
        CONSOLE.print(f"note: {camera.note}")
    models = load_models(args, args.cad)
    for model in models:
        if model.is_unit_assumed:
            note = f"unit {model.unit_note}; if that is wrong, state it with --cad-unit"
            CONSOLE.print(f"note: {model.name}: {note}", markup=False)
    check_frame(models, frame)
    settings = read_settings(args)
    engine = load_engine(args, models, args.min_score, args.max_instances, settings)
    record = Record() if args.debug else None
    ctx = RunContext(record=record, on_warning=show_warning)
    with detector_of(args) as detector, CONSOLE.status("estimating"):
        poses = engine.run(frame, ctx=ctx, boxes=boxes_in(frame, detector))
        scale = depth_scale_of(args.depth, args.depth_scale, camera)
        poses = check_result(frame, poses, engine, scale)
    if args.order == "pickable":
        poses = pickable_first(poses)
    if record:
        debug_pictures.write_debug(args.out / "debug", frame, record, poses, engine.objects)
    code = finish(args.out, frame, poses, models, inputs(args))
    show(args, frame, poses, engine.objects)
    return code


def check_options(args: argparse.Namespace) -> None:
    """Refuse options that do not go together.

    Raises:
        InvalidInput: names what is missing or too much.
    """
    if args.debug and args.out is None:
        raise InvalidInput("--debug writes pictures; state their folder by --out")
    files = {f"--{name}": getattr(args, name) for name in ("rgb", "depth", "camera")}
    if args.recording is None:
        if missing := [name for name, value in files.items() if value is None]:
            raise InvalidInput(
                f"{', '.join(missing)} missing; state colour, depth and camera file, or "
                "--recording and --poses or --fixed-frame"
            )
        views = {"--poses": args.poses, "--fixed-frame": args.fixed_frame}
        if extra := [name for name, value in views.items() if value is not None]:
            raise InvalidInput(f"{extra[0]} is for the frames of a --recording; state that too")
        return
    single = {**files, "--depth-scale": args.depth_scale, "--image-id": args.image_id}
    single |= {"--debug": args.debug or None, "--rerun": args.rerun, "--viser": args.viser}
    if extra := [name for name, value in single.items() if value is not None]:
        raise InvalidInput(f"{', '.join(extra)} cannot be used with --recording")
    if (args.poses is None) == (args.fixed_frame is None):
        raise InvalidInput(
            "--recording needs --poses (the camera pose of each of its frames) or, for a bag, "
            "--fixed-frame; expected one of them"
        )


def stem_number(path: Path) -> int | None:
    """The number that a file is named by, if it is."""
    return int(path.stem) if path.stem.isdigit() else None


def inputs(args: argparse.Namespace) -> dict[str, str]:
    """Return the files of the frame, for the result."""
    return {name: str(getattr(args, name)) for name in ("rgb", "depth", "camera")}
