"""Association of estimates with tracks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.symmetry.canonical import equivalent_pose
from sam6d_ros.cad.symmetry.equivalence import nearest_equivalent
from sam6d_ros.runtime.tracking.track import UNCERTAIN_ROTATION_RAD, Track
from sam6d_ros.types import PoseEstimate

Array = NDArray[np.float64]

TURN_WEIGHT = 0.2  # of the turned box against the distance: an estimate may well be flipped
FORBIDDEN = 1e6
UNSEEN_SPEED = 0.1  # m/s by which the place of an instance that is not seen widens


def distance(model: ObjectModel, first: Array, second: Array) -> float:
    """Return the displacement of the box corners between two poses, in diameters.

    Root mean square over the corners, the smallest over the object's symmetries.

    Args:
        model: the object.
        first: (4, 4) pose.
        second: (4, 4) pose.
    """
    _, metres = nearest_equivalent(first, second, model.symmetries, model.box_corners)
    return float(metres / model.diameter)


def nearest_alike(model: ObjectModel, pose: PoseEstimate, reference: Array) -> PoseEstimate:
    """Return the symmetry-equivalent pose that is nearest to a reference.

    Args:
        model: the object.
        pose: the estimate.
        reference: (4, 4) cam_from_obj.
    """
    here = pose.cam_from_obj
    motion, _ = nearest_equivalent(here, reference, model.symmetries, model.box_corners)
    return equivalent_pose(pose, motion)


def without_spin(track: Track, pose: PoseEstimate, predicted: Array) -> PoseEstimate:
    """Return a new pose of a track without a rotation that no frame shows.

    The rotation of a plain surface of revolution about its axis is noise: the equivalent pose
    nearest to the prediction is taken, so that it does not spin. A rotation that the frame
    determines, by a texture that was learnt, is kept.

    Args:
        track: the instance.
        pose: its new estimate.
        predicted: (4, 4) cam_from_obj.
    """
    axes = track.model.symmetries.axes
    if not len(axes) or pose.covariance is None:
        return pose
    axis = pose.cam_from_obj[:3, :3] @ axes[0, 0] / np.linalg.norm(axes[0, 0])
    if len(axes) == 1 and axis @ pose.covariance[3:, 3:] @ axis <= UNCERTAIN_ROTATION_RAD**2:
        return pose
    return nearest_alike(track.model, pose, predicted)


def centre_distance(model: ObjectModel, first: Array, second: Array) -> float:
    """Return the distance of the box centres at two poses, metres.

    Args:
        model: the object.
        first: (4, 4) pose.
        second: (4, 4) pose.
    """
    centre = model.obj_from_box[:, 3]
    return float(np.linalg.norm((first - second)[:3] @ centre))


def assign(
    model: ObjectModel, known: Sequence[Array], found: Sequence[Array], gates_m: Sequence[float]
) -> list[tuple[int, int]]:
    """Pair poses of one class by the least sum of distances.

    Args:
        model: their object.
        known: (4, 4) poses of tracks.
        found: (4, 4) poses of estimates at the same time.
        gates_m: how far, in metres, each known one may be found from its place.

    Returns:
        Indices (known, found) of each pair.
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
    """Pair tracks with estimates.

    Args:
        tracks: tracks of one class.
        found: estimates of that class.
        stamp_ns: of the estimates.
        reach: in diameters, how far from its known place an instance may be found.

    Returns:
        Pairs of tracks and estimates, and the estimates that are left.
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
