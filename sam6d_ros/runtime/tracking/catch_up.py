"""An estimate of an earlier frame, followed to the newest one, a frame at a time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.runtime.tracking.motion import common_motion
from sam6d_ros.runtime.tracking.track import USUAL_SHARE, Track
from sam6d_ros.types import Frame, PoseEstimate

CALM_SHIFT, CALM_TURN = 0.05, np.radians(3)  # in diameters: less motion, and the stride doubles
MAX_STRIDE = 8  # kept frames
LEAP_SHARE = 0.9  # of the usual score, after a leap: the fit may have ended elsewhere


def catch_up(
    track: Track,
    frames_from: Callable[[int], Sequence[Frame]],
    confirm: Callable[[Frame, Sequence[tuple[Track, PoseEstimate]], float], Sequence[Track]],
    others: Callable[[], Sequence[Track]],
    coast_s: float,
) -> Generator[None, None, bool]:
    """Follow one instance to the newest frame; yields after every frame that was looked at.

    An estimate that no frame confirms was wrong; one that is hidden in the end coasts. Where
    little moves, frames are skipped; where others show the camera's motion, all but the newest.

    Args:
        track: the instance.
        frames_from: the frames from a stamp on, oldest first; more may come meanwhile.
        confirm: takes tracks from their expected poses onto a frame; gives those that it shows
            with a share of their usual score.
        others: confirmed instances, which show the motion of the camera.
        coast_s: see ``Track.coast``.

    Returns:
        Whether the instance is to be followed on.
    """
    next_ns, stride, shown = track.stamp_ns, 1, False
    while frames := frames_from(next_ns):
        before = track.pose.cam_from_obj
        leap = shown and stride > 0 and _common(track, frames[-1], others()) is not None
        frame = frames[-1] if leap else frames[min(max(1, stride), len(frames)) - 1]
        common = _common(track, frame, others())
        expected = track.predicted(frame.stamp_ns) if common is None else common @ before
        share = LEAP_SHARE if leap or stride > 1 else USUAL_SHARE
        if confirm(frame, [(track, replace(track.pose, cam_from_obj=expected))], share):
            next_ns, shown = frame.stamp_ns + 1, True
            stride = min(2 * stride, MAX_STRIDE) if _calm(track, before) else min(stride, 1)
        elif leap or stride > 1:
            stride = 0 if leap else 1  # too far: look at the frames between
        else:
            next_ns = frame.stamp_ns + 1
            track.coast(expected, frame.stamp_ns, coast_s)
            if track.unseen_s(frame.stamp_ns) > coast_s:
                return False
        yield
    return shown


def _common(track: Track, frame: Frame, others: Sequence[Track]) -> NDArray[np.float64] | None:
    """Return the motion of the track's place until a frame, by the other tracks."""
    return common_motion(others, track.stamp_ns, frame.stamp_ns, track.centre_cam)


def _calm(track: Track, before: NDArray[np.float64]) -> bool:
    """Whether the last motion of the track was small."""
    shift, turn = track.moved_since(before)
    return shift < CALM_SHIFT * track.model.diameter and turn < CALM_TURN
