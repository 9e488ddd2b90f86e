"""`sam6d scan`: models from recordings and point clouds, the printed board, the check."""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from rich.progress import Progress

from sam6d_ros.apps.cli.bag_options import add_topic_options
from sam6d_ros.apps.cli.options import CONSOLE, add_command
from sam6d_ros.apps.cli.recordings import read_frames
from sam6d_ros.apps.cli.scan_recordings import add_recording_options, read_passes, scan_options
from sam6d_ros.cad.mesh import Mesh, load_mesh
from sam6d_ros.cad.objects import read_objects_file
from sam6d_ros.errors import InvalidInput
from sam6d_ros.scan.board import parse_board, write_pdf
from sam6d_ros.scan.build import scan_object
from sam6d_ros.scan.motion import Frames, Motion
from sam6d_ros.scan.output import (
    RECORDINGS,
    check_output,
    content_of,
    summary,
    write_mesh,
    write_scan,
)
from sam6d_ros.scan.points import mesh_of_points
from sam6d_ros.scan.report import residuals
from sam6d_ros.scan.symmetry import AUTO, check_symmetry, find_symmetries

DESCRIPTION = """\
Make a CAD model of an object from an RGB-D recording, by hand or with a turntable.

examples:
  sam6d scan board --pdf board.pdf                      print it at 100 %, put the object on it
  sam6d scan model recording/ --name mug --board 9x6:30 --out mug/
  sam6d scan model recording/ --name mug --out mug/     no board: motion from the scene itself
  sam6d scan check mug/ recording/                      the model beside the recording
  sam6d scan points cloud.ply --out part.ply            a mesh of a point cloud"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register the subcommands."""
    parser = add_command(
        commands, "scan", "make a CAD model of an object from a recording", DESCRIPTION
    )
    verbs = parser.add_subparsers(dest="scan_command", required=True, metavar="COMMAND")
    _add_model(verbs)
    _add_board(verbs)
    _add_check(verbs)
    _add_points(verbs)


def _add_model(verbs: argparse._SubParsersAction) -> None:
    parser = add_command(verbs, "model", "make the model", DESCRIPTION)
    add_recording_options(parser)
    parser.add_argument("--name", required=True, help="name of the object, and of its file")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for the results; earlier ones are replaced"
    )
    parser.add_argument(
        "--symmetry",
        default=AUTO,
        metavar="KIND",
        help="auto (default), none, round, or the number of placements about the vertical that "
        "look the same",
    )
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
    parser.add_argument(
        "recordings", type=Path, nargs="+", metavar="RECORDING", help="all it was made of, in order"
    )
    add_topic_options(parser)
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
    check_symmetry(args.symmetry)
    check_output(args.out, args.name)
    with ExitStack() as stack, Progress(console=CONSOLE, transient=True) as bar:
        passes = read_passes(args, bar, stack)
        task = bar.add_task("fusing")
        first, second = passes[0], passes[1] if len(passes) > 1 else None
        scanned = scan_object(
            first.frames,
            first.motion,
            scan_options(args, first),
            first.masks,
            lambda done, count: bar.update(task, completed=done, total=count),
            second,
        )
        symmetries = find_symmetries(scanned.mesh, args.symmetry)
        content = content_of(scanned, passes, args.every, symmetries)
    write_scan(args.out, args.name, scanned, content, symmetries)
    recordings = [str(path) for path in (args.recording, args.second) if path is not None]
    _report(args.out, args.name, content, recordings)
    return 0


def _report(folder: Path, name: str, content: dict, recordings: list[str]) -> None:
    lines = [
        f"{folder / name}.ply: {summary(content)}",
        *(f"  warning: {note}" for note in content["warnings"]),
        f"  symmetries: {content['symmetries']}. To change them, edit {folder}/objects.yaml or "
        "state --symmetry",
        f"next: sam6d scan check {folder} {' '.join(recordings)}   compares it with every frame",
        f"      sam6d onboard --objects {folder}/objects.yaml   shows its size and symmetries",
        f"      sam6d estimate --objects {folder}/objects.yaml --rgb … --depth … --camera …",
    ]
    for line in lines:
        CONSOLE.print(line, markup=False, highlight=False, soft_wrap=True)


def run_check(args: argparse.Namespace) -> int:
    """Compare a model with its recordings, frame by frame.

    Returns:
        Exit code.

    Raises:
        InvalidInput: the folder holds no result of ``sam6d scan model``.
    """
    passes, mesh = _read(args.folder)
    if len(args.recordings) != len(passes):
        raise InvalidInput(
            f"{len(args.recordings)} recordings are given; expected the {len(passes)} that the "
            "scan was made of, in their order"
        )
    for path, content in zip(args.recordings, passes, strict=True):
        print(path)
        _check(read_frames(path, content["every"], args), path, content, mesh)
    return 0


def _check(frames: Frames, path: Path, content: dict, mesh: Mesh) -> None:
    """Print the residuals of one recording."""
    poses = np.array(
        [np.full((4, 4), np.nan) if pose is None else pose for pose in content["world_from_cam"]]
    )
    if len(frames) != len(poses):
        raise InvalidInput(
            f"{path} has {len(frames)} frames; expected the {len(poses)} of the scan"
        )
    motion = Motion(poses, content["motion"])
    rows = residuals(mesh, frames, motion, np.array(content["world_from_obj"]))
    for row in rows:
        print(
            f"frame {row.frame:4d}: median {row.median_mm:5.2f} mm, 90 % below {row.p90_mm:5.2f} "
            f"mm, {row.share:4.0%} of the model seen"
        )
    near = [row for row in rows if np.isfinite(row.median_mm)]
    if near:
        worst = max(near, key=lambda row: row.median_mm)
        print(
            f"all {len(rows)} frames: half of the medians below "
            f"{np.median([row.median_mm for row in near]):.2f} mm, the largest "
            f"{worst.median_mm:.2f} mm in frame {worst.frame}"
        )


def _read(folder: Path) -> tuple[list[dict], Mesh]:
    """Return what the report of a scan keeps of each recording, and the mesh."""
    try:
        passes = json.loads((folder / "report.json").read_text())[RECORDINGS]
        (entry,) = read_objects_file(folder / "objects.yaml")
        mesh = load_mesh(entry.mesh)
        for one in passes:
            if not {"world_from_cam", "world_from_obj", "motion", "every"} <= one.keys():
                raise KeyError("world_from_cam")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(
            f"{folder} holds no scan ({error!r}); expected the --out of sam6d scan model"
        ) from error
    return passes, mesh
