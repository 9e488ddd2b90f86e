"""The motion that the seen instances have in common, as the camera's own motion gives it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.geometry import se3
from sam6d_ros.runtime.track_state import Track

Array = NDArray[np.float64]

AGREEMENT_M, AGREEMENT_SHARE = 0.01, 0.2  # two tracks tell of the same motion: metres, of its size


def common_motion(
    tracks: Sequence[Track], before_ns: int, after_ns: int, place: Array
) -> Array | None:
    """Where what stood at ``place`` (3,) and before went: (4, 4) ``after_from_before``, camera.

    None unless two tracks agree: one alone may be an object that is carried.
    """
    motions = [track.at(after_ns) @ se3.inverse(track.at(before_ns)) for track in tracks]
    if len(motions) < 2:
        return None
    shifts = np.array([motion[:3, :3] @ place + motion[:3, 3] - place for motion in motions])
    apart = np.linalg.norm(shifts[:, None] - shifts[None], axis=2)
    tolerance = AGREEMENT_M + AGREEMENT_SHARE * np.linalg.norm(shifts, axis=1)
    agreeing = (apart <= tolerance[:, None]).sum(1)
    best = int(np.lexsort((apart.sum(1), -agreeing))[0])
    return motions[best] if agreeing[best] >= 2 else None
