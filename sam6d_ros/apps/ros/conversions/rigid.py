"""Rigid transforms ↔ Pose and Transform messages."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Pose, Transform
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidInput
from sam6d_ros.geometry import se3

UNIT_TOLERANCE = 1e-3  # of a quaternion's length: rounding to float32 stays far below


def pose_message(target_from_source: NDArray[np.float64]) -> Pose:
    """The Pose of a (4, 4) rigid transform."""
    pose = Pose()
    position, orientation = pose.position, pose.orientation
    position.x, position.y, position.z = target_from_source[:3, 3].tolist()
    quat_xyzw = se3.quat_xyzw(target_from_source).tolist()
    orientation.x, orientation.y, orientation.z, orientation.w = quat_xyzw
    return pose


def transform_from_pose(pose: Pose) -> NDArray[np.float64]:
    """Return the (4, 4) rigid transform of a Pose.

    Raises:
        InvalidInput: a value is not finite, or the quaternion is not of length 1.
    """
    q, p = pose.orientation, pose.position
    quat_xyzw, position = [q.x, q.y, q.z, q.w], [p.x, p.y, p.z]
    length = float(np.linalg.norm(quat_xyzw))
    if not np.isfinite([length, *position]).all() or abs(length - 1) > UNIT_TOLERANCE:
        raise InvalidInput(
            f"pose with position {position} and quaternion (x, y, z, w) {quat_xyzw}; expected "
            "finite numbers and a quaternion of length 1 (no turn is 0, 0, 0, 1)"
        )
    return se3.from_quat_xyzw_translation(quat_xyzw, position)


def matrix_from_transform(transform: Transform) -> NDArray[np.float64]:
    """The (4, 4) rigid transform of a Transform, whose quaternion tf2 has checked."""
    q, t = transform.rotation, transform.translation
    return se3.from_quat_xyzw_translation([q.x, q.y, q.z, q.w], [t.x, t.y, t.z])
