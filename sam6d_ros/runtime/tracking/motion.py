"""The motion that the seen instances have in common, as the camera's own motion gives it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.geometry import se3
from sam6d_ros.runtime.tracking.track import Track

Array = NDArray[np.float64]

AGREEMENT_M, AGREEMENT_SHARE = 0.015, 0.2  # of equal motions: metres, share


def common_motion(
    tracks: Sequence[Track], before_ns: int, after_ns: int, place: Array
) -> Array | None:
    """Return the motion (4, 4) ``after_from_before`` at ``place`` (3,), camera frame.

    The rigid motion that fits all tracks that agree. None unless two agree: one alone may be an
    object that is carried.

    Args:
        tracks: instances with their history.
        before_ns: first stamp, nanoseconds.
        after_ns: second stamp, nanoseconds.
        place: (3,) metres.
    """
    known = [track for track in tracks if track.known_since_ns <= before_ns]
    if len(known) < 2:
        return None
    before = np.stack([track.at(before_ns) for track in known])
    after = np.stack([track.at(after_ns) for track in known])
    motions = after @ se3.inverse(before)
    shifts = motions[:, :3, :3] @ place + motions[:, :3, 3] - place
    apart = np.linalg.norm(shifts[:, None] - shifts[None], axis=2)
    near = apart <= AGREEMENT_M + AGREEMENT_SHARE * np.linalg.norm(shifts, axis=1)[:, None]
    best = int(np.lexsort((apart.sum(1), -near.sum(1)))[0])
    agreeing = np.flatnonzero(near[best])
    if len(agreeing) < 2:
        return None
    corners = [known[i].model.box_corners for i in agreeing]
    start, end = (
        np.concatenate([se3.transform(poses[i], c) for i, c in zip(agreeing, corners, strict=True)])
        for poses in (before, after)
    )
    return se3.fit_points(start, end)


def coasting_place(track: Track, others: Sequence[Track], before_ns: int, now_ns: int) -> Array:
    """Return the pose (4, 4) of an unseen instance that moved as the others since it was seen.

    Args:
        track: the unseen instance.
        others: seen instances.
        before_ns: stamp of the frame before this one.
        now_ns: stamp of this frame.
    """
    seen = track.last_seen.cam_from_obj
    since_seen = common_motion(others, track.seen_ns, now_ns, seen[:3, 3])
    if since_seen is not None:
        return since_seen @ seen
    last_step = common_motion(others, before_ns, now_ns, track.centre_cam)
    if last_step is not None:
        return last_step @ track.pose.cam_from_obj
    return track.predicted(now_ns)
