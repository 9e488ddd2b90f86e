"""An estimate of an earlier frame, followed to the newest one, a frame at a time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.runtime.track_motion import common_motion
from sam6d_ros.runtime.track_state import Track
from sam6d_ros.types import Frame, PoseEstimate

CALM_SHIFT, CALM_TURN = 0.05, np.radians(3)  # in diameters: less motion, and the stride doubles
MAX_STRIDE = 8  # kept frames


def catch_up(
    track: Track,
    frames_from: Callable[[int], Sequence[Frame]],
    confirm: Callable[[Frame, Sequence[tuple[Track, PoseEstimate]]], Sequence[Track]],
    others: Callable[[], Sequence[Track]],
    hold_s: float,
) -> Generator[None, None, bool]:
    """Follow one instance to the newest frame; yields after every frame that was looked at.

    An estimate that no frame confirms was wrong; one that is hidden in the end is held. Where
    little moves, frames are skipped.

    Args:
        frames_from: the frames from a stamp on, oldest first; more may come meanwhile.
        confirm: takes tracks from their expected poses onto a frame; gives those that it shows.
        others: seen instances that tell how the camera moved.
        hold_s: see ``Track.hold``.

    Returns:
        Whether the instance is to be followed on.
    """
    next_ns, stride, shown = track.stamp_ns, 1, False
    while frames := frames_from(next_ns):
        frame, before = frames[min(stride, len(frames)) - 1], track.pose.cam_from_obj
        expected = _expected(track, frame.stamp_ns, others())
        if confirm(frame, [(track, replace(track.pose, cam_from_obj=expected))]):
            next_ns, shown = frame.stamp_ns + 1, True
            stride = min(2 * stride, MAX_STRIDE) if _calm(track, before) else 1
        elif stride > 1:
            stride = 1  # too far a leap: look at the frames between
        else:
            next_ns = frame.stamp_ns + 1
            track.hold(expected, frame.stamp_ns, hold_s)
            if track.unseen_s(frame.stamp_ns) > hold_s:
                return False
        yield
    return shown


def _expected(track: Track, stamp_ns: int, others: Sequence[Track]) -> NDArray[np.float64]:
    place = track.pose.cam_from_obj[:3, 3]
    common = common_motion(others, track.stamp_ns, stamp_ns, place)
    return track.predicted(stamp_ns) if common is None else common @ track.pose.cam_from_obj


def _calm(track: Track, before: NDArray[np.float64]) -> bool:
    """Whether the last motion of the track was small."""
    shift, turn = track.moved_since(before)
    return shift < CALM_SHIFT * track.model.diameter and turn < CALM_TURN
