"""Poses of objects and grasps of objects → grasps in the scene, as messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import Point, PoseArray
from numpy.typing import NDArray
from rclpy.duration import Duration
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from sam6d_ros.apps.ros.conversions.poses import covariance_row
from sam6d_ros.apps.ros.conversions.rigid import pose_message
from sam6d_ros.geometry import se3
from sam6d_ros.grasps.types import Grasp, GraspSet
from sam6d_ros.msg import Grasp as GraspMessage
from sam6d_ros.msg import GraspArray
from sam6d_ros.types import PoseEstimate

Array = NDArray[np.float64]

LINE_WIDTH_M = 0.002
FINGER_LINE_M, STEM_LINE_M = 0.04, 0.04  # of the drawn gripper
MARKER_LIFETIME_S = 2.0


@dataclass(frozen=True)
class PlacedGrasp:
    """A grasp of one object in the scene.

    Attributes:
        object_id: of the detection.
        class_id: of the object.
        grasp: in the object's frame.
        cam_from_grip: (4, 4).
        pose_score: score of the object's pose, in [0, 1].
        covariance: (6, 6) of the grip's pose in the camera's axes, or None when unknown.
    """

    object_id: str
    class_id: str
    grasp: Grasp
    cam_from_grip: Array
    pose_score: float
    covariance: Array | None


def place_grasps(
    poses: Sequence[PoseEstimate],
    grasps: Mapping[str, GraspSet],
    most: int,
    wanted: Callable[[Array], bool] = lambda cam_from_grip: True,
) -> list[PlacedGrasp]:
    """At most ``most`` wanted grasps per object that has some, of all objects best first."""
    placed = []
    for pose in poses:
        own = [_placed(pose, grasp) for grasp in grasps[pose.class_id].grasps]
        placed += [one for one in own if wanted(one.cam_from_grip)][:most]
    return sorted(placed, key=lambda one: -one.grasp.score)


def _placed(pose: PoseEstimate, grasp: Grasp) -> PlacedGrasp:
    """Place one grasp at an object; an error of its rotation shifts the grip by the lever."""
    cam_from_grip = pose.cam_from_obj @ grasp.obj_from_grip
    covariance = pose.covariance
    if covariance is not None:
        arm = cam_from_grip[:3, 3] - pose.cam_from_obj[:3, 3]
        covariance = se3.shift_origin(covariance, arm)
    return PlacedGrasp(
        pose.instance_id, pose.class_id, grasp, cam_from_grip, pose.score, covariance
    )


def grasp_array(
    placed: Sequence[PlacedGrasp], header: Header, frame_from_cam: Array | None = None
) -> GraspArray:
    """The grasps in the header's frame; that of the camera unless a transform is given."""
    message = GraspArray(header=header)
    for one in placed:
        pose, covariance = one.cam_from_grip, one.covariance
        if frame_from_cam is not None:
            pose = frame_from_cam @ pose
            if covariance is not None:
                covariance = se3.rotate_covariance(covariance, frame_from_cam[:3, :3])
        message.grasps.append(
            GraspMessage(
                object_id=one.object_id,
                class_id=one.class_id,
                name=one.grasp.name,
                pose=pose_message(pose),
                width=one.grasp.width,
                score=one.grasp.score,
                pregrasp_distance=one.grasp.pregrasp,
                pose_score=one.pose_score,
                covariance=covariance_row(covariance),
            )
        )
    return message


def poses_of(grasps: GraspArray) -> PoseArray:
    """The poses alone, in the same order, for viewers and for MoveIt."""
    return PoseArray(header=grasps.header, poses=[grasp.pose for grasp in grasps.grasps])


def object_frame_poses(
    placed: Sequence[PlacedGrasp], header: Header, tf_prefix: str
) -> list[tuple[str, PoseArray]]:
    """For each object its class and the poses of its grasps in its own TF frame, same stamp."""
    arrays: dict[str, tuple[str, PoseArray]] = {}
    for one in placed:
        own = Header(stamp=header.stamp, frame_id=tf_prefix + one.object_id)
        _, array = arrays.setdefault(one.object_id, (one.class_id, PoseArray(header=own)))
        array.poses.append(pose_message(one.grasp.obj_from_grip))
    return list(arrays.values())


def grasp_markers(placed: Sequence[PlacedGrasp], header: Header) -> MarkerArray:
    """One marker per object: lines of all its grippers, from red (score 0) to green (1)."""
    markers: dict[str, Marker] = {}
    for one in placed:
        marker = markers.setdefault(one.object_id, _line_marker(header, one.object_id))
        color = ColorRGBA(r=1.0 - one.grasp.score, g=one.grasp.score, b=0.1, a=1.0)
        for x, y, z in se3.transform(one.cam_from_grip, _gripper_lines(one.grasp.width)).tolist():
            marker.points.append(Point(x=x, y=y, z=z))
            marker.colors.append(color)
    cleared = Marker(header=header, action=Marker.DELETEALL)
    return MarkerArray(markers=[cleared, *markers.values()])


def _line_marker(header: Header, object_id: str) -> Marker:
    marker = Marker(header=header, ns=object_id, type=Marker.LINE_LIST, action=Marker.ADD)
    marker.scale.x = LINE_WIDTH_M
    marker.pose.orientation.w = 1.0
    marker.lifetime = Duration(seconds=MARKER_LIFETIME_S).to_msg()
    return marker


def _gripper_lines(width: float) -> Array:
    """(8, 3) ends of four lines: two fingers, what joins them, and the stem behind."""
    half, back = width / 2, -FINGER_LINE_M
    corners = [[-half, 0, 0], [-half, 0, back], [half, 0, back], [half, 0, 0]]
    stem = [[0, 0, back], [0, 0, back - STEM_LINE_M]]
    lines = [*corners[0:2], *corners[1:3], *corners[2:4], *stem]
    return np.array(lines, np.float64)
