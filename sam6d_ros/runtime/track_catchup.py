"""An estimate of an earlier frame, followed to the newest one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.runtime.track_motion import common_motion
from sam6d_ros.runtime.track_state import Track
from sam6d_ros.types import Frame, PoseEstimate, PoseEstimates

TrackFunction = Callable[[Frame, PoseEstimates], PoseEstimates]

CALM_SHIFT, CALM_TURN = 0.05, np.radians(3)  # in diameters: less motion, and the stride doubles
MAX_STRIDE = 8  # kept frames
MAX_UNSEEN = 3  # kept frames in a row that do not show the object


def catch_up(
    track: Track,
    frames: Sequence[Frame],
    confirm: Callable[[Frame, Sequence[tuple[Track, PoseEstimate]]], Sequence[Track]],
    others: Sequence[Track],
    hold_s: float,
) -> bool:
    """Follow one instance through the frames, oldest first; False when it is lost on the way.

    Where little moves, frames are skipped.

    Args:
        confirm: takes tracks from their expected poses onto a frame; gives those that it shows.
        others: seen instances that tell how the camera moved meanwhile.
        hold_s: see ``Track.hold``.
    """
    index, stride, unseen = 0, 1, 0
    while index < len(frames):
        frame, before = frames[index], track.pose.cam_from_obj
        expected = _expected(track, frame.stamp_ns, others)
        if confirm(frame, [(track, replace(track.pose, cam_from_obj=expected))]):
            unseen = 0
            stride = min(2 * stride, MAX_STRIDE) if _calm(track, before) else 1
        else:
            track.hold(expected, frame.stamp_ns, hold_s)
            unseen, stride = unseen + 1, 1
            if unseen > MAX_UNSEEN:
                return False
        last = len(frames) - 1
        index = last if index < last < index + stride else index + stride
    return track.is_seen


def _expected(track: Track, stamp_ns: int, others: Sequence[Track]) -> NDArray[np.float64]:
    place = track.pose.cam_from_obj[:3, 3]
    common = common_motion(others, track.stamp_ns, stamp_ns, place)
    return track.predicted(stamp_ns) if common is None else common @ track.pose.cam_from_obj


def _calm(track: Track, before: NDArray[np.float64]) -> bool:
    """Whether the last motion of the track was small."""
    shift, turn = track.moved_since(before)
    return shift < CALM_SHIFT * track.model.diameter and turn < CALM_TURN
