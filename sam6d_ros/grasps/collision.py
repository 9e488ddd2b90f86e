"""From which sides the gripper reaches a pair of contacts without touching the object elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.geometry import se3
from sam6d_ros.grasps.contacts import ContactPairs
from sam6d_ros.grasps.gripper import Gripper

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Candidates:
    """N grasps that are free of collision.

    Attributes:
        obj_from_grip: (N, 4, 4), see ``Grasp``.
        pair: (N,) index of the contact pair.
    """

    obj_from_grip: Array
    pair: NDArray[np.intp]


def free_candidates(
    pairs: ContactPairs,
    points: Array,
    obj_from_box: Array,
    gripper: Gripper,
    directions: int,
    approach: float,
) -> Candidates:
    """List the grasps at each pair that do not collide, from evenly spread directions.

    A grasp collides when a point of the surface lies in what the gripper sweeps on the last
    ``approach`` metres in and on closing: parts smaller than the distance of the points may be
    missed.

    Args:
        pairs: N contact pairs.
        points: (P, 3) of the surface, metres, object frame.
        obj_from_box: (4, 4); one direction is that of an axis of this box, as far as it can be.
        gripper: its measures.
        directions: how many around each axis.
        approach: metres.

    Returns:
        The grasps that do not collide.
    """
    poses, owners = [], []
    for index in range(len(pairs)):
        frame = _frame(pairs.axis[index], pairs.centre[index], obj_from_box[:3, :3])
        boxes = gripper.swept_boxes(float(pairs.width[index]), approach)
        angles = 2 * np.pi * np.arange(directions) / directions
        local = se3.transform(se3.inverse(frame), points)
        free = angles[~_collides(local, angles, boxes)]
        poses.append(frame @ _about_x(free))
        owners.append(np.full(len(free), index))
    return Candidates(np.concatenate(poses), np.concatenate(owners))


def _frame(axis: Array, centre: Array, box_axes: Array) -> Array:
    """x along the axis, z along the box axis that is most across it (made exactly so)."""
    z = box_axes[:, np.argmin(np.abs(box_axes.T @ axis))]
    z = z - (z @ axis) * axis
    z /= np.linalg.norm(z)
    rotation = np.stack([axis, np.cross(z, axis), z], axis=1)
    return se3.from_rotation_translation(rotation, centre)


def _about_x(angles: Array) -> Array:
    return se3.exp(np.pad(angles[:, None], ((0, 0), (3, 2))))


def _collides(local: Array, angles: Array, boxes: Array) -> NDArray[np.bool_]:
    """For each turn of the boxes about x: whether any of the points lies in any of them (D,)."""
    cosine, sine = np.cos(angles)[:, None], np.sin(angles)[:, None]
    hit = np.zeros(len(angles), bool)
    for low, high in boxes:
        inside = local[(local[:, 0] > low[0]) & (local[:, 0] < high[0])]
        y = cosine * inside[:, 1] + sine * inside[:, 2]
        z = cosine * inside[:, 2] - sine * inside[:, 1]
        hit |= ((y > low[1]) & (y < high[1]) & (z > low[2]) & (z < high[2])).any(1)
    return hit
