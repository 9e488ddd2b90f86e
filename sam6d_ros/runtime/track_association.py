"""Which estimate belongs to which known instance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from sam6d_ros.cad.equivalence import nearest_equivalent
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.runtime.track_state import Track
from sam6d_ros.types import PoseEstimate

Array = NDArray[np.float64]

TURN_WEIGHT = 0.2  # of the turned box against the distance: an estimate may well be flipped
FORBIDDEN = 1e6
UNSEEN_SPEED = 0.1  # m/s by which the place of an instance that is not seen widens


def distance(model: ObjectModel, first: Array, second: Array) -> float:
    """Return the displacement of the box corners between two poses, in diameters.

    Root mean square over the corners, the smallest over the object's symmetries.
    """
    _, metres = nearest_equivalent(first, second, model.symmetries, model.box_corners)
    return float(metres / model.diameter)


def centre_distance(model: ObjectModel, first: Array, second: Array) -> float:
    """Distance of the box centres at two poses, metres."""
    centre = model.obj_from_box[:, 3]
    return float(np.linalg.norm((first - second)[:3] @ centre))


def assign(
    model: ObjectModel, known: Sequence[Array], found: Sequence[Array], gates_m: Sequence[float]
) -> list[tuple[int, int]]:
    """Pairs (known, found) of one class with the least sum of distances.

    Args:
        known, found: (4, 4) poses at the same time.
        gates_m: how far, in metres, each known one may be found from its place.
    """
    cost = np.full((len(known), len(found)), FORBIDDEN)
    for i, (pose, gate) in enumerate(zip(known, gates_m, strict=True)):
        for j, other in enumerate(found):
            metres = centre_distance(model, pose, other)
            if metres <= gate:
                cost[i, j] = metres / model.diameter + TURN_WEIGHT * distance(model, pose, other)
    rows, columns = linear_sum_assignment(cost)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if cost[i, j] < FORBIDDEN]


def pair_up(
    tracks: Sequence[Track], found: Sequence[PoseEstimate], stamp_ns: int, reach: float
) -> tuple[list[tuple[Track, PoseEstimate]], list[PoseEstimate]]:
    """Pairs of tracks and estimates, and the estimates that are left.

    Args:
        reach: in diameters, how far from its known place an instance may be found.
    """
    if not tracks or not found:
        return [], list(found)
    pairs = assign(
        tracks[0].model,
        [track.at(stamp_ns) for track in tracks],
        [pose.cam_from_obj for pose in found],
        [reach * t.model.diameter + UNSEEN_SPEED * t.unseen_s(stamp_ns) for t in tracks],
    )
    taken = {j for _, j in pairs}
    left = [pose for j, pose in enumerate(found) if j not in taken]
    return [(tracks[i], found[j]) for i, j in pairs], left
