"""`sam6d estimate --recording`: objects at rest, seen by a camera that moves."""

from __future__ import annotations

import argparse

from rich.progress import track

from sam6d_ros.apps.cli.boxes import boxes_in, detector_of, show_warning
from sam6d_ros.apps.cli.estimate_results import by_name, finish
from sam6d_ros.apps.cli.objects import load_models, read_settings
from sam6d_ros.apps.cli.options import CONSOLE, load_engine
from sam6d_ros.errors import InvalidInput
from sam6d_ros.frames.recordings import Recording
from sam6d_ros.pipeline import RunContext
from sam6d_ros.runtime.views import View, fuse_views
from sam6d_ros.scan.trajectory import read_poses


def run_views(args: argparse.Namespace) -> int:
    """Estimate in every frame, join the poses, write or print them.

    Returns:
        Exit code.

    Raises:
        InvalidInput: another number of poses than of frames.
    """
    recording, cameras = Recording(args.recording), read_poses(args.poses)
    if len(cameras) != len(recording):
        raise InvalidInput(
            f"{args.poses} has {len(cameras)} poses; expected one for each of the "
            f"{len(recording)} frames of {args.recording}"
        )
    models = load_models(args, args.cad)
    settings = read_settings(args)
    engine = load_engine(args, models, args.min_score, args.max_instances, settings)
    views = []
    with detector_of(args) as detector:
        for index in track(range(len(recording)), "estimating", console=CONSOLE, transient=True):
            frame = recording.frame(index)
            ctx = RunContext(on_warning=show_warning)
            found = engine.run(frame, ctx=ctx, boxes=boxes_in(frame, detector))
            views.append(View(frame, found, cameras[index]))
    poses = fuse_views(views, by_name(models))
    inputs = {"recording": str(args.recording), "poses": str(args.poses)}
    return finish(args.out, frame, poses, models, inputs)
