"""Recordings of `sam6d scan`: frames, camera motion and place of the object, by the options."""

from __future__ import annotations

import argparse
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from sam6d_ros.apps.cli.bag_options import add_topic_options
from sam6d_ros.apps.cli.options import CONSOLE
from sam6d_ros.apps.cli.pick_page import pick
from sam6d_ros.apps.cli.recordings import EVERY_HELP, check_has_tf, read_frames
from sam6d_ros.errors import InvalidInput
from sam6d_ros.scan.bags import bag_motion
from sam6d_ros.scan.board import parse_board
from sam6d_ros.scan.build import Recorded, ScanOptions
from sam6d_ros.scan.frames import InMemory, ReadAhead
from sam6d_ros.scan.masks import read_masks, turntable_masks
from sam6d_ros.scan.motion import Frames, Motion, from_board, from_poses
from sam6d_ros.scan.places import circle_of_box, place_of_pixel
from sam6d_ros.scan.region import DEFAULT_RADIUS_M
from sam6d_ros.scan.scene_motion import from_scene
from sam6d_ros.scan.trajectory import read_poses

PLACES = ("at", "box", "centre", "pick")  # options that state the place of the object


def add_recording_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of frames, motion and place."""
    parser.add_argument(
        "recording", type=Path, help="folder with rgb/, depth/ and a camera file, or a ROS 2 bag"
    )
    parser.add_argument("--every", type=int, default=1, metavar="N", help=EVERY_HELP)
    add_topic_options(parser)
    parser.add_argument("--poses", type=Path, help="file of camera poses, one per frame")
    parser.add_argument(
        "--fixed-frame",
        metavar="FRAME",
        help="camera poses from /tf of the bag, in this frame, in which the object is at rest",
    )
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
    parser.add_argument(
        "--box",
        type=int,
        nargs=4,
        metavar=("LEFT", "TOP", "RIGHT", "BOTTOM"),
        help="box around the object, pixels of the first frame: middle and radius of the circle",
    )
    parser.add_argument(
        "--pick", action="store_true", help="choose the object in a page, by a click or a box"
    )
    parser.add_argument("--masks", type=Path, help="folder of mask images, one per frame")
    parser.add_argument(
        "--second", type=Path, help="another recording, of the object turned over: its bottom"
    )
    parser.add_argument("--second-poses", type=Path, help="camera poses of that recording")


def read_passes(args: argparse.Namespace, bar: Progress, stack: ExitStack) -> list[Recorded]:
    """Read the recordings of a scan and find their camera motion.

    Args:
        args: options of ``add_recording_options``.
        bar: shows the progress.
        stack: closes what reads ahead.

    Returns:
        One or two recordings.

    Raises:
        InvalidInput: an option does not fit, a recording is unusable, or its motion is not found.
    """
    if args.second_poses is not None and args.second is None:
        raise InvalidInput("--second-poses is given without --second, the recording it belongs to")
    _check_sources(args)
    passes = [_recorded(args, args.recording, args.poses, bar, stack)]
    if args.second is not None:
        passes.append(_recorded(args, args.second, args.second_poses, bar, stack))
    return passes


def _check_sources(args: argparse.Namespace) -> None:
    """Refuse a second source of the motion, which would have no effect."""
    sources = {"--poses": args.poses, "--fixed-frame": args.fixed_frame, "--board": args.board}
    if args.second is not None and args.second_poses is None:
        del sources["--poses"]  # the second recording takes another source
    given = [name for name, value in sources.items() if value is not None]
    if len(given) > 1:
        raise InvalidInput(
            f"{' and '.join(given)} are given; expected one: each states the camera's motion"
        )


def scan_options(args: argparse.Namespace, first: Recorded) -> ScanOptions:
    """Return the circle of the user, who may choose it in a page.

    Raises:
        InvalidInput: it is given twice, or nothing is measured in it.
    """
    given = [name for name in PLACES if getattr(args, name) not in (None, False)]
    if len(given) > 1:
        both = " and ".join(f"--{name}" for name in given)
        raise InvalidInput(f"{both} are given; expected one: each states the place of the object")
    at, box = args.at, args.box
    if args.pick:
        frame = first.frames.frame(int(first.motion.used[0]))
        at, box = pick(frame.rgb, lambda url: CONSOLE.print(f"choose the object at {url}"))
    if box is not None:
        centre, radius_m = circle_of_box(first.frames, first.motion, tuple(box))
        return ScanOptions(radius_m, centre)
    if at is not None:
        return ScanOptions(args.radius, place_of_pixel(first.frames, first.motion, *at))
    return ScanOptions(args.radius, tuple(args.centre) if args.centre else None)


def _recorded(
    args: argparse.Namespace, path: Path, poses: Path | None, bar: Progress, stack: ExitStack
) -> Recorded:
    source = read_frames(path, args.every, args)
    frames = source
    if not isinstance(source, InMemory):
        frames = stack.enter_context(closing(ReadAhead(source)))
    masks = None
    if args.masks is not None and path == args.recording:
        masks = read_masks(args.masks, frames.frame(0).depth.shape, len(frames))
    elif args.turntable:
        masks = turntable_masks(frames, args.radius)
    if args.fixed_frame is not None and poses is None:
        check_has_tf(path)
        return Recorded(frames, bag_motion(path, frames, args.fixed_frame), masks)
    return Recorded(frames, _motion(args, frames, poses, masks, bar), masks)


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
