"""``PoseEstimates`` ↔ 3D detections; → transforms. vision_msgs semantics, see docs/ros.md."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from geometry_msgs.msg import PoseArray, TransformStamped
from std_msgs.msg import Header
from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose

from sam6d_ros.apps.ros.conversions.frames import stamp_ns_of
from sam6d_ros.apps.ros.conversions.masks import UNKNOWN_COVARIANCE
from sam6d_ros.apps.ros.conversions.rigid import pose_message, transform_from_pose
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.types import PoseEstimate, PoseEstimates


def detection_3d_array(
    poses: PoseEstimates, header: Header, models: Mapping[str, ObjectModel]
) -> Detection3DArray:
    """3D detections with the image's header.

    ``results[0].pose`` is the CAD origin; ``bbox`` is the CAD bounding box: the pose of its centre
    and its size in metres. ``covariance`` is row-major (x, y, z, rotations about x, y, z) in the
    camera frame, with element 0 = -1 when unknown.
    """
    message = Detection3DArray(header=header)
    for pose in poses.items:
        model = models[pose.class_id]
        entry = Detection3D(header=header, results=[_hypothesis(pose)], id=pose.instance_id)
        entry.bbox.center = pose_message(pose.cam_from_obj @ model.obj_from_box)
        size = entry.bbox.size
        size.x, size.y, size.z = (float(v) for v in model.box_size)
        message.detections.append(entry)
    return message


def _hypothesis(pose: PoseEstimate) -> ObjectHypothesisWithPose:
    result = ObjectHypothesisWithPose()
    result.hypothesis.class_id = pose.class_id
    result.hypothesis.score = float(pose.score)
    result.pose.pose = pose_message(pose.cam_from_obj)
    if pose.covariance is None:
        result.pose.covariance[0] = UNKNOWN_COVARIANCE
    else:
        result.pose.covariance = np.asarray(pose.covariance, np.float64).ravel()
    return result


def poses_from_detection_3d_array(message: Detection3DArray) -> PoseEstimates:
    """The poses that a pose node sent (masks and score parts do not travel)."""
    items = []
    for detection in message.detections:
        result = detection.results[0]
        covariance = np.array(result.pose.covariance, np.float64).reshape(6, 6)
        items.append(
            PoseEstimate(
                class_id=result.hypothesis.class_id,
                score=result.hypothesis.score,
                cam_from_obj=transform_from_pose(result.pose.pose),
                covariance=None if covariance[0, 0] < 0 else covariance,
                instance_id=detection.id,
            )
        )
    return PoseEstimates(tuple(items), stamp_ns_of(message.header), message.header.frame_id)


def pose_array(poses: PoseEstimates, header: Header, class_id: str) -> PoseArray:
    """The CAD origins of one class's instances, best first."""
    found = [pose_message(p.cam_from_obj) for p in poses.items if p.class_id == class_id]
    return PoseArray(header=header, poses=found)


def transforms_from_poses(
    poses: PoseEstimates, header: Header, prefix: str = ""
) -> list[TransformStamped]:
    """One transform per instance: camera frame → ``<prefix><class>_<number>``, image's stamp."""
    transforms = []
    for pose in poses.items:
        entry = TransformStamped(header=header, child_frame_id=prefix + pose.instance_id)
        x, y, z = pose.cam_from_obj[:3, 3].tolist()
        entry.transform.translation.x = x
        entry.transform.translation.y = y
        entry.transform.translation.z = z
        entry.transform.rotation = pose_message(pose.cam_from_obj).orientation
        transforms.append(entry)
    return transforms
