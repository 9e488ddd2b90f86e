"""`sam6d estimate --recording`: objects at rest, seen by a camera that moves."""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from sam6d_ros.apps.cli.boxes import boxes_in, detector_of, show_warning
from sam6d_ros.apps.cli.estimate_results import by_name, finish
from sam6d_ros.apps.cli.objects import load_models, read_settings
from sam6d_ros.apps.cli.options import CONSOLE, load_engine
from sam6d_ros.apps.cli.recordings import check_has_tf, read_frames
from sam6d_ros.errors import InvalidInput
from sam6d_ros.pipeline import RunContext
from sam6d_ros.runtime.views import View, fuse_views, limits_of_a_view
from sam6d_ros.scan.bags import bag_poses, missing_note
from sam6d_ros.scan.motion import Frames
from sam6d_ros.scan.trajectory import read_poses


def run_views(args: argparse.Namespace) -> int:
    """Estimate in every frame, join the poses, write or print them.

    Returns:
        Exit code.

    Raises:
        InvalidInput: no camera pose of a frame is known, or their number is not that of the frames.
    """
    recording = read_frames(args.recording, args.every, args)
    cameras = _cameras(args, recording)
    used = np.flatnonzero(np.isfinite(cameras[:, 0, 0]))
    models = load_models(args, args.cad)
    settings = read_settings(args)
    engine = load_engine(args, models, args.min_score, args.max_instances, settings)
    limits = limits_of_a_view(engine.acceptance)
    views = []
    with detector_of(args) as detector:
        for index in track(used.tolist(), "estimating", console=CONSOLE, transient=True):
            frame = recording.frame(index)
            ctx = RunContext(on_warning=show_warning)
            found = engine.run(frame, ctx=ctx, acceptance=limits, boxes=boxes_in(frame, detector))
            views.append(View(frame, found, cameras[index]))
    seconds = sum(view.estimates.timings_s.get("total", 0.0) for view in views)
    poses = fuse_views(views, by_name(models), engine.acceptance)
    poses = poses.with_timings({"total": seconds})
    source = {"fixed_frame": args.fixed_frame} if args.poses is None else {"poses": args.poses}
    inputs = {"recording": str(args.recording)} | {name: str(of) for name, of in source.items()}
    return finish(args.out, frame, poses, models, inputs)


def _cameras(args: argparse.Namespace, recording: Frames) -> NDArray[np.float64]:
    """Return (N, 4, 4) fixed_from_cam of the frames; NaN where /tf has none."""
    if args.poses is not None:
        poses = read_poses(args.poses)[:: args.every]
        if len(poses) != len(recording):
            raise InvalidInput(
                f"{args.poses} has {len(poses)} poses; expected one for each of the "
                f"{len(recording)} frames of {args.recording}"
            )
        return np.array(poses)
    check_has_tf(args.recording)
    cameras = bag_poses(args.recording, recording, args.fixed_frame)
    if note := missing_note(cameras):
        show_warning(note)
    if not np.isfinite(cameras).any():
        raise InvalidInput(f"{note}; expected the transforms of at least one frame in /tf")
    return cameras
