"""Scores of grasps, and selection of the best ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.geometry.raycast import RayScene
from sam6d_ros.grasps.gripper import GIVE_M, Gripper

Array = NDArray[np.float64]

PAD_RAYS = 5  # along each side of a pad
# Opening that is left over counts in full from this share of the usable width on.
AMPLE_MARGIN = 0.2
# Grasps that differ by less are much alike: shift as a share of the diameter, and turn.
ALIKE_SHIFT = 0.15
ALIKE_TURN_RAD = np.deg2rad(40.0)
# What is left of a score beside one that is kept and much alike: not worth keeping both.
LEFT_OVER = 0.1


def pad_contact(scene: RayScene, obj_from_grip: Array, width: Array, gripper: Gripper) -> Array:
    """Compute the share of the pads that the surface touches, of the pad that it touches less.

    The pads reach as far behind the contact as the tips reach beyond it.

    Returns:
        (N,) shares in [0, 1].
    """
    across = np.linspace(-0.4, 0.4, PAD_RAYS) * gripper.finger_width
    along = np.linspace(-0.8, 0.8, PAD_RAYS) * gripper.finger_tip
    y, z = (grid.ravel() for grid in np.meshgrid(across, along))
    shares = []
    for side in (1.0, -1.0):
        x = side * (width[:, None] / 2 + gripper.clearance)
        start = np.stack(np.broadcast_arrays(x, y, z), axis=-1)
        origins = (
            start @ np.swapaxes(obj_from_grip[:, :3, :3], 1, 2) + obj_from_grip[:, None, :3, 3]
        )
        inward = np.broadcast_to(-side * obj_from_grip[:, None, :3, 0], origins.shape)
        hits = scene.cast(
            origins.reshape(-1, 3).astype(np.float32), inward.reshape(-1, 3).astype(np.float32)
        )
        touched = (hits.face >= 0) & (np.abs(hits.distance - gripper.clearance) < GIVE_M)
        shares.append(touched.reshape(len(width), -1).mean(1))
    return np.minimum(*shares)


def score(
    lean: Array, contact: Array, off_centre: Array, width: Array, diameter: float, gripper: Gripper
) -> Array:
    """Score grasps by the weighted mean of four parts.

    Args:
        lean: larger angle between closing direction and a normal; the friction angle gives 0.
        contact: share of the pads that touches.
        off_centre: distance of the grasp from the centre of mass; half the diameter gives 0.
        width: between the contacts; less than a fifth of the usable width to spare costs.
        diameter: of the object.
        gripper: its measures.

    Returns:
        (N,) scores in [0, 1].
    """
    antipodal = np.clip(1 - lean / gripper.friction_angle, 0, 1)
    central = np.clip(1 - 2 * off_centre / diameter, 0, 1)
    spare = 1 - width / gripper.usable_width
    margin = np.clip(spare / AMPLE_MARGIN, 0, 1)
    return 0.3 * antipodal + 0.3 * contact + 0.25 * central + 0.15 * margin


def choose_diverse(obj_from_grip: Array, scores: Array, count: int, diameter: float) -> list[int]:
    """Choose good grasps that differ, so that the first few do already.

    One after the other the best is taken, and what is like it loses as much of its score.

    Returns:
        At most ``count`` indices, in the order of the choice.
    """
    left = scores.astype(np.float64)
    chosen: list[int] = []
    while len(chosen) < count:
        best = int(left.argmax())
        if left[best] <= LEFT_OVER * scores[best]:
            break
        chosen.append(best)
        left = left * (1 - _likeness(obj_from_grip, obj_from_grip[best], diameter))
    return chosen


def _likeness(obj_from_grip: Array, other: Array, diameter: float) -> Array:
    """1 for the same grasp, towards 0 for others; a half turn about the approach is the same."""
    shift = np.linalg.norm(obj_from_grip[:, :3, 3] - other[:3, 3], axis=1) / diameter
    # diagonal of relative rotation matrices; a half turn about z flips the first two
    x, y, z = np.einsum("nij,ij->jn", obj_from_grip[:, :3, :3], other[:3, :3])
    trace = np.maximum(x + y, -x - y) + z
    turn = np.arccos(np.clip((trace - 1) / 2, -1, 1))
    return np.exp(-((shift / ALIKE_SHIFT) ** 2) - (turn / ALIKE_TURN_RAD) ** 2)
