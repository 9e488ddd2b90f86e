"""Canonical pose of a symmetric object: one fixed choice among the equivalent poses.

The choice depends on the rotation alone: of all equivalent poses, the one whose rotation is nearest
to ``REFERENCE``. Noise changes the choice only where two of them are almost equally near. No rule
avoids such borders for every rotation; ``REFERENCE`` keeps them away from objects that stand or lie
square to the camera.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel, Symmetries
from sam6d_ros.cad.symmetry.equivalence import nearest_equivalent
from sam6d_ros.geometry import se3
from sam6d_ros.types import PoseEstimate

Array = NDArray[np.float64]

# cam_from_obj as quaternion xyzw. Best of 6000 random rotations: for the 24 square orientations
# before a camera that looks down by 30, 45, 60 and 90°, and half and quarter turns about any axis,
# the second nearest equivalent rotation is at least 2.2° farther away.
REFERENCE = se3.from_quat_xyzw_translation([0.3829, -0.5061, 0.7682, 0.0844], [0, 0, 0])[:3, :3]


def canonical_motion(cam_from_obj: Array, symmetries: Symmetries, centre: Array) -> Array:
    """Return the motion (4, 4) of the object onto itself that leads to the canonical pose.

    Args:
        cam_from_obj: (4, 4) any of the equivalent poses.
        symmetries: motions of the object onto itself.
        centre: (3,) centre of the object, object frame, metres.
    """
    place = cam_from_obj[:3, :3] @ centre + cam_from_obj[:3, 3]
    reference = se3.from_rotation_translation(REFERENCE, place - REFERENCE @ centre)
    return nearest_equivalent(cam_from_obj, reference, symmetries, _arms(centre))[0]


def canonical(pose: PoseEstimate, model: ObjectModel) -> PoseEstimate:
    """Return the canonical one of the poses that show a symmetric object alike.

    Args:
        pose: pose of the object; its alternatives of the same object are replaced too.
        model: the object.
    """
    if not model.symmetries.is_symmetric:
        return pose
    centre = model.obj_from_box[:3, 3]
    alternatives = tuple(
        other._replace(
            cam_from_obj=other.cam_from_obj
            @ canonical_motion(other.cam_from_obj, model.symmetries, centre)
        )
        if other.class_id == model.name
        else other
        for other in pose.alternatives
    )
    motion = canonical_motion(pose.cam_from_obj, model.symmetries, centre)
    return replace(equivalent_pose(pose, motion), alternatives=alternatives)


def equivalent_pose(pose: PoseEstimate, motion: Array) -> PoseEstimate:
    """Return a pose after a motion of the object onto itself, with its covariance.

    Args:
        pose: the pose.
        motion: (4, 4), object frame.
    """
    covariance, here = pose.covariance, pose.cam_from_obj
    if covariance is not None:
        covariance = se3.shift_origin(covariance, here[:3, :3] @ motion[:3, 3])
    return replace(pose, cam_from_obj=here @ motion, covariance=covariance)


def _arms(centre: Array) -> Array:
    """Return six points (6, 3) whose displacement measures the rotation alone."""
    return np.asarray(centre + np.concatenate([np.eye(3), -np.eye(3)]), np.float64)
