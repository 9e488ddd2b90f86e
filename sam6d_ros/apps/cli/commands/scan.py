"""`sam6d scan`: models from recordings and point clouds, the printed board, the check."""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from sam6d_ros.apps.cli.options import CONSOLE, add_command
from sam6d_ros.cad.mesh import Mesh, load_mesh
from sam6d_ros.errors import InvalidInput
from sam6d_ros.frames.recordings import Recording
from sam6d_ros.scan.board import parse_board, write_pdf
from sam6d_ros.scan.build import Recorded, ScanOptions, scan_object
from sam6d_ros.scan.frames import InMemory, ReadAhead, bag_recording, thinned
from sam6d_ros.scan.masks import read_masks, turntable_masks
from sam6d_ros.scan.motion import Frames, Motion, from_board, from_poses
from sam6d_ros.scan.output import content_of, summary, write_mesh, write_scan
from sam6d_ros.scan.points import mesh_of_points
from sam6d_ros.scan.region import DEFAULT_RADIUS_M, place_of_pixel
from sam6d_ros.scan.report import residuals
from sam6d_ros.scan.scene_motion import from_scene
from sam6d_ros.scan.trajectory import read_poses

DESCRIPTION = """\
Make a CAD model of an object from an RGB-D recording, by hand or with a turntable.

examples:
  sam6d scan board --pdf board.pdf                      print it at 100 %, put the object on it
  sam6d scan model recording/ --name mug --board 9x6:30 --out mug/
  sam6d scan model recording/ --name mug --out mug/     no board: motion from the scene itself
  sam6d scan check mug/ recording/                      the model beside the recording
  sam6d scan points cloud.ply --out part.ply            a mesh of a point cloud"""

BAG_SUFFIXES = (".mcap", ".db3")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register the subcommands."""
    parser = add_command(
        commands, "scan", "a recording of an object becomes its model", DESCRIPTION
    )
    verbs = parser.add_subparsers(dest="scan_command", required=True, metavar="COMMAND")
    _add_model(verbs)
    _add_board(verbs)
    _add_check(verbs)
    _add_points(verbs)


def _add_model(verbs: argparse._SubParsersAction) -> None:
    parser = add_command(verbs, "model", "make the model", DESCRIPTION)
    parser.add_argument(
        "recording", type=Path, help="folder with rgb/, depth/ and a camera file, or a ROS 2 bag"
    )
    parser.add_argument(
        "--every", type=int, default=1, metavar="N", help="use every N-th frame (default all)"
    )
    parser.add_argument("--name", required=True, help="name of the object")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--poses", type=Path, help="file of camera poses, one per frame")
    parser.add_argument("--board", metavar="COLSxROWS:MM", help="printed board, as 9x6:30")
    parser.add_argument(
        "--turntable", action="store_true", help="the camera stands, the object turns"
    )
    parser.add_argument(
        "--radius",
        type=float,
        default=DEFAULT_RADIUS_M,
        metavar="M",
        help="circle in which the object stands, or of the turntable (default %(default)s)",
    )
    parser.add_argument(
        "--centre", type=float, nargs=3, metavar=("X", "Y", "Z"), help="its middle, frame of poses"
    )
    parser.add_argument(
        "--at", type=int, nargs=2, metavar=("U", "V"), help="its middle, pixel of the first frame"
    )
    parser.add_argument("--masks", type=Path, help="folder of mask images, one per frame")
    parser.add_argument(
        "--second", type=Path, help="another recording, of the object turned over: its bottom"
    )
    parser.add_argument("--second-poses", type=Path, help="camera poses of that recording")
    parser.set_defaults(run=run_model)


def _add_board(verbs: argparse._SubParsersAction) -> None:
    parser = add_command(verbs, "board", "draw the board to print", DESCRIPTION)
    parser.add_argument("--pdf", type=Path, required=True, help="file to write")
    parser.add_argument(
        "--board", default="9x6:30", metavar="COLSxROWS:MM", help="squares (default %(default)s)"
    )
    parser.set_defaults(run=run_board)


def _add_check(verbs: argparse._SubParsersAction) -> None:
    parser = add_command(verbs, "check", "residuals of the model per frame", DESCRIPTION)
    parser.add_argument("folder", type=Path, help="results of sam6d scan model")
    parser.add_argument("recording", type=Path, help="the recording it was made of")
    parser.set_defaults(run=run_check)


def _add_points(verbs: argparse._SubParsersAction) -> None:
    parser = add_command(verbs, "points", "make a mesh of a point cloud", DESCRIPTION)
    parser.add_argument("cloud", type=Path, help="PLY file of points, metres")
    parser.add_argument("--out", type=Path, required=True, help="PLY file to write")
    parser.set_defaults(run=run_points)


def run_points(args: argparse.Namespace) -> int:
    """Reconstruct the surface of a point cloud."""
    mesh = mesh_of_points(args.cloud)
    write_mesh(args.out, mesh)
    lines = [
        f"{args.out}: {len(mesh.faces)} faces",
        f"warning: {mesh.note}",
        f"next: sam6d onboard {args.out}",
    ]
    for line in lines:
        CONSOLE.print(line, markup=False, highlight=False, soft_wrap=True)
    return 0


def run_board(args: argparse.Namespace) -> int:
    """Write the board."""
    spec = parse_board(args.board)
    write_pdf(spec, args.pdf)
    millimetres = 1000 * spec.square_m
    CONSOLE.print(
        f"{args.pdf}: print at 100 %, then measure a square: it must be {millimetres:g} mm",
        markup=False,
        soft_wrap=True,
    )
    return 0


def run_model(args: argparse.Namespace) -> int:
    """Make the model and write it with its report."""
    if args.second_poses is not None and args.second is None:
        raise InvalidInput("--second-poses is given without --second, the recording it belongs to")
    with ExitStack() as stack, Progress(console=CONSOLE, transient=True) as bar:
        first = _recorded(args, args.recording, args.poses, bar, stack)
        second = None
        if args.second is not None:
            second = _recorded(args, args.second, args.second_poses, bar, stack)
        task = bar.add_task("fusing")
        scanned = scan_object(
            first.frames,
            first.motion,
            _options(args, first),
            first.masks,
            lambda done, count: bar.update(task, completed=done, total=count),
            second,
        )
        content = content_of(scanned, first.frames, first.motion, args.every)
    write_scan(args.out, args.name, scanned, content)
    _report(args.out, args.name, content)
    return 0


def _recorded(
    args: argparse.Namespace, path: Path, poses: Path | None, bar: Progress, stack: ExitStack
) -> Recorded:
    """Read a recording and find its camera motion."""
    source = _recording(args, path)
    frames = source
    if not isinstance(source, InMemory):
        frames = stack.enter_context(closing(ReadAhead(source)))
    masks = None
    if args.masks is not None and path == args.recording:
        masks = read_masks(args.masks, frames.frame(0).depth.shape, len(frames))
    elif args.turntable:
        masks = turntable_masks(frames, args.radius)
    return Recorded(frames, _motion(args, frames, poses, masks, bar), masks)


def _options(args: argparse.Namespace, first: Recorded) -> ScanOptions:
    """Return the circle of the user.

    Raises:
        InvalidInput: it is given twice, or its pixel has no depth.
    """
    if args.at is not None and args.centre is not None:
        raise InvalidInput("--at and --centre are both given; expected one: both state the middle")
    if args.at is not None:
        return ScanOptions(args.radius, place_of_pixel(first.frames, first.motion, *args.at))
    return ScanOptions(args.radius, tuple(args.centre) if args.centre else None)


def _recording(args: argparse.Namespace, path: Path) -> Frames:
    """Return the frames of a folder, or of a bag in memory.

    Raises:
        InvalidInput: ``--every`` is below 1; too many frames of a bag; no usable frame.
    """
    if args.every < 1:
        raise InvalidInput(f"--every is {args.every}; expected 1 or more")
    if path.suffix not in BAG_SUFFIXES and not (path / "metadata.yaml").is_file():
        return thinned(Recording(path), args.every)
    with CONSOLE.status("reading the bag"):
        return bag_recording(path, args.every)


def _motion(
    args: argparse.Namespace,
    frames: Frames,
    poses: Path | None,
    masks: NDArray[np.bool_] | None,
    bar: Progress,
) -> Motion:
    if poses is not None:
        return from_poses(read_poses(poses), len(frames))
    task = bar.add_task("camera motion", total=len(frames))
    if args.board is not None:
        spec = parse_board(args.board)
        return from_board(frames, spec, lambda done, _: bar.update(task, completed=done))
    only = masks if args.turntable else None
    return from_scene(frames, only, lambda done, _: bar.update(task, completed=done))


def _report(folder: Path, name: str, content: dict) -> None:
    lines = [
        f"{folder / name}.ply: {summary(content)}",
        *(f"  warning: {note}" for note in content["warnings"]),
        f"next: sam6d onboard --objects {folder}/objects.yaml   shows its size and symmetries",
        f"      sam6d estimate --objects {folder}/objects.yaml --rgb … --depth … --camera …",
    ]
    for line in lines:
        CONSOLE.print(line, markup=False, highlight=False, soft_wrap=True)


def run_check(args: argparse.Namespace) -> int:
    """Compare a model with its recording, frame by frame.

    Returns:
        Exit code.

    Raises:
        InvalidInput: the folder holds no result of ``sam6d scan model``.
    """
    content, mesh = _read(args.folder)
    poses = np.array(
        [np.full((4, 4), np.nan) if pose is None else pose for pose in content["world_from_cam"]]
    )
    args.every = content["every"]
    recording = _recording(args, args.recording)
    if len(recording) != len(poses):
        raise InvalidInput(
            f"{args.recording} has {len(recording)} frames; expected the {len(poses)} of the scan"
        )
    motion = Motion(poses, content["motion"])
    for row in residuals(mesh, recording, motion, np.array(content["world_from_obj"])):
        CONSOLE.print(
            f"frame {row.frame:4d}: median {row.median_mm:5.2f} mm, 90 % below {row.p90_mm:5.2f} "
            f"mm, {row.share:4.0%} of the model seen",
            markup=False,
            highlight=False,
        )
    return 0


def _read(folder: Path) -> tuple[dict, Mesh]:
    try:
        content = json.loads((folder / "report.json").read_text())
        mesh = load_mesh(next(folder.glob("*.ply")))
        if not {"world_from_cam", "world_from_obj", "motion", "every"} <= content.keys():
            raise KeyError("world_from_cam")
    except (OSError, ValueError, KeyError, StopIteration, AttributeError) as error:
        raise InvalidInput(
            f"{folder} holds no scan ({error!r}); expected the --out of sam6d scan model"
        ) from error
    return content, mesh
