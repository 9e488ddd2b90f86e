"""3D detections as they come from a pose or a tracking node → poses of objects that are known."""

from __future__ import annotations

import logging
from collections.abc import Container

from vision_msgs.msg import Detection3DArray

from sam6d_ros.apps.ros import conversions
from sam6d_ros.cad.yaml_entries import shown
from sam6d_ros.errors import InvalidInput
from sam6d_ros.runtime.status import HostStatus
from sam6d_ros.types import PoseEstimate

MOST = 100  # detections of one image


def known_poses(
    message: Detection3DArray, names: Container[str], status: HostStatus
) -> tuple[list[PoseEstimate], str]:
    """Return the poses of registered objects; log the other detections.

    Of more than ``MOST`` detections those of the best scores are taken: each costs time.

    Returns:
        Poses, and the problem with the others or "".

    Raises:
        InvalidInput: a detection has no result, or a pose is none.
    """
    for detection in message.detections:
        if not detection.results:
            raise InvalidInput(
                f"detection {shown(detection.id)} has no results; expected one with a pose"
            )
    if (count := len(message.detections)) > MOST:
        text = f"{count} detections came of one image; the {MOST} of the best scores are used"
        status.log(logging.WARNING, text, key="too many detections")
        best = sorted(message.detections, key=lambda one: -one.results[0].hypothesis.score)
        message = Detection3DArray(header=message.header, detections=best[:MOST])
    items = conversions.poses_from_detection_3d_array(message).items
    unknown = sorted({pose.class_id for pose in items if pose.class_id not in names})
    if not unknown:
        return list(items), ""
    problem = (
        f"detections of {shown(unknown)}, which are no objects here. Remap ~/follow_objects to the "
        "segmentation node's ~/objects, or give this node the same objects_file"
    )
    status.log(logging.WARNING, problem, key="unknown class")
    return [pose for pose in items if pose.class_id in names], problem
