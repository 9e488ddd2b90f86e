"""Options of `sam6d estimate` that show the result in a viewer."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from sam6d_ros.apps.cli.options import CONSOLE
from sam6d_ros.apps.cli.viewed_scene import viewed_scene
from sam6d_ros.apps.cli.viewer_rerun import rerun, write_recording
from sam6d_ros.apps.cli.viewer_viser import PORT, open_page, viser, wait_for_interrupt
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.types import Frame, PoseEstimates


def add_viewer_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--rerun`` and ``--viser``."""
    group = parser.add_argument_group("viewer: frame, point cloud, models and alternative poses")
    group.add_argument(
        "--rerun",
        type=Path,
        metavar="FILE",
        help="write a recording for the Rerun viewer (.rrd); see it with: rerun FILE",
    )
    group.add_argument(
        "--viser",
        type=int,
        nargs="?",
        const=PORT,
        metavar="PORT",
        help=f"serve a web page on this machine until Ctrl-C (default port: {PORT})",
    )


def check_viewers(args: argparse.Namespace) -> None:
    """Refuse a viewer that is not installed, before the search.

    Raises:
        BackendUnavailable: names what to install.
    """
    if args.rerun is not None:
        rerun()
    if args.viser is not None:
        viser()


def show(
    args: argparse.Namespace, frame: Frame, poses: PoseEstimates, models: Mapping[str, ObjectModel]
) -> None:
    """Show a result in the viewers that the options name.

    Args:
        args: with the options of ``add_viewer_options``.
        frame: the frame.
        poses: its result.
        models: by name.
    """
    if args.rerun is None and args.viser is None:
        return
    scene = viewed_scene(frame, poses, models)
    if args.rerun is not None:
        write_recording(scene, args.rerun)
        CONSOLE.print(f"see the scene with: rerun {args.rerun}", markup=False, soft_wrap=True)
    if args.viser is not None:
        server = open_page(scene, args.viser)
        address = f"http://{server.get_host()}:{server.get_port()}"
        CONSOLE.print(f"see the scene at {address}; Ctrl-C ends it", markup=False, soft_wrap=True)
        wait_for_interrupt()
        server.stop()
