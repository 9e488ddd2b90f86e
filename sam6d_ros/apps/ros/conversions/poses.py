"""``PoseEstimates`` ↔ 3D detections; → transforms. vision_msgs semantics, see docs/ros.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from geometry_msgs.msg import PoseArray, TransformStamped
from numpy.typing import NDArray
from std_msgs.msg import Header
from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose

from sam6d_ros.apps.ros.conversions.frames import stamp_ns_of
from sam6d_ros.apps.ros.conversions.masks import UNKNOWN_COVARIANCE
from sam6d_ros.apps.ros.conversions.rigid import pose_message, transform_from_pose
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.geometry import se3
from sam6d_ros.types import Alternative, PoseEstimate, PoseEstimates

Array = NDArray[np.float64]


def detection_3d_array(
    poses: PoseEstimates,
    header: Header,
    models: Mapping[str, ObjectModel],
    frame_from_cam: Array | None = None,
) -> Detection3DArray:
    """Return 3D detections with the image's header, in the header's frame.

    Args:
        poses: of the image.
        header: of the image, or with the frame of ``frame_from_cam``.
        models: the objects.
        frame_from_cam: (4, 4), if the header's frame is not the camera's.

    ``results[0].pose`` is the CAD origin, ``results[1:]`` are the alternatives with their
    probabilities as scores; ``bbox`` is the CAD bounding box: the pose of its centre
    and its size in metres. ``covariance`` is row-major (x, y, z, rotations about x, y, z) in the
    header's frame, with element 0 = -1 when unknown.
    """
    message = Detection3DArray(header=header)
    for pose in poses.items:
        if frame_from_cam is not None:
            pose = in_frame(pose, frame_from_cam)
        model = models[pose.class_id]
        entry = Detection3D(header=header, results=_hypotheses(pose), id=pose.instance_id)
        entry.bbox.center = pose_message(pose.cam_from_obj @ model.obj_from_box)
        size = entry.bbox.size
        size.x, size.y, size.z = (float(v) for v in model.box_size)
        message.detections.append(entry)
    return message


def in_frame(pose: PoseEstimate, frame_from_cam: Array) -> PoseEstimate:
    """Return an estimate whose pose and covariance are in another frame in place of the camera's.

    Args:
        pose: in the camera's frame.
        frame_from_cam: (4, 4).
    """
    covariance = pose.covariance
    if covariance is not None:
        covariance = se3.rotate_covariance(covariance, frame_from_cam[:3, :3])
    others = tuple(
        other._replace(cam_from_obj=frame_from_cam @ other.cam_from_obj)
        for other in pose.alternatives
    )
    return replace(
        pose,
        cam_from_obj=frame_from_cam @ pose.cam_from_obj,
        covariance=covariance,
        alternatives=others,
    )


def _hypotheses(pose: PoseEstimate) -> list[ObjectHypothesisWithPose]:
    """Return the pose and its alternatives; the covariance of an alternative is unknown."""
    best = _hypothesis(pose.class_id, pose.score, pose.cam_from_obj, pose.covariance)
    others = [
        _hypothesis(other.class_id, other.probability, other.cam_from_obj, None)
        for other in pose.alternatives
    ]
    return [best, *others]


def _hypothesis(
    class_id: str, score: float, frame_from_obj: Array, covariance: Array | None
) -> ObjectHypothesisWithPose:
    result = ObjectHypothesisWithPose()
    result.hypothesis.class_id = class_id
    result.hypothesis.score = float(score)
    result.pose.pose = pose_message(frame_from_obj)
    result.pose.covariance = covariance_row(covariance)
    return result


def covariance_row(covariance: Array | None) -> Array:
    """Return a covariance (6, 6) as messages carry it: (36,), the first -1 when it is unknown."""
    if covariance is None:
        return np.array([UNKNOWN_COVARIANCE, *[0.0] * 35])
    return np.asarray(covariance, np.float64).ravel()


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
                alternatives=tuple(map(_alternative, detection.results[1:])),
            )
        )
    return PoseEstimates(tuple(items), stamp_ns_of(message.header), message.header.frame_id)


def _alternative(result: ObjectHypothesisWithPose) -> Alternative:
    hypothesis = result.hypothesis
    return Alternative(hypothesis.class_id, transform_from_pose(result.pose.pose), hypothesis.score)


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
