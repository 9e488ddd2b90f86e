"""``Detections`` ↔ instance masks; → 2D boxes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header
from vision_msgs.msg import (
    BoundingBox2D,
    Detection2D,
    Detection2DArray,
    ObjectHypothesisWithPose,
)

from sam6d_ros.apps.ros.conversions.rigid import pose_message, transform_from_pose
from sam6d_ros.errors import InvalidInput
from sam6d_ros.msg import InstanceMask, InstanceMaskArray
from sam6d_ros.types import Detection, Detections

# In element 0 of a covariance: nothing is known about it. sensor_msgs/Imu marks it so; zeros
# would read as certainty.
UNKNOWN_COVARIANCE = -1.0


def masks_from_detections(
    detections: Detections, header: Header, image_shape: tuple[int, int]
) -> InstanceMaskArray:
    """Instance masks with the image's header; ``image_shape`` is (height, width)."""
    reason = detections.reason
    if not detections.items and detections.unsearched:
        reason = f"{reason}; {unsearched_text(detections)}"
    return InstanceMaskArray(
        header=header,
        height=image_shape[0],
        width=image_shape[1],
        instances=[_mask_message(d) for d in detections.items],
        reason=reason,
    )


def unsearched_text(detections: Detections) -> str:
    """Return which objects were not searched, and why."""
    return f"{', '.join(detections.unsearched)} not searched: budget_s was used up"


def _mask_message(detection: Detection) -> InstanceMask:
    x, y, width, height = detection.bbox_xywh
    crop = detection.mask[y : y + height, x : x + width]
    message = InstanceMask(
        class_id=detection.class_id,
        id=detection.instance_id,
        score=float(detection.score),
        bbox=_box_message(detection),
        roi=RegionOfInterest(x_offset=x, y_offset=y, width=width, height=height),
        pose_hints=[pose_message(hint) for hint in detection.pose_hints],
    )
    message.mask.frombytes(np.packbits(crop.ravel()).tobytes())
    return message


def detections_from_masks(
    message: InstanceMaskArray, frame_shape: tuple[int, int] | None = None, most: int | None = None
) -> Detections:
    """Return the detections that a segmentation node sent.

    Args:
        message: masks of one image.
        frame_shape: (height, width) of that image; None accepts any size.
        most: the instances with the best scores are taken, at most this many; None: all.

    Raises:
        InvalidInput: the masks are of an image of another size, a mask does not fit its crop or
            its image, or a hint is no rigid pose.
    """
    shape = (int(message.height), int(message.width))
    if frame_shape is not None and shape != frame_shape:  # before memory is taken for a mask
        raise InvalidInput(
            f"masks are of a {shape[1]}×{shape[0]} image but the frame has "
            f"{frame_shape[1]}×{frame_shape[0]} pixels; segment the same rgb topic"
        )
    instances = sorted(message.instances, key=lambda m: -m.score)[:most]
    items = tuple(
        Detection(m.class_id, float(m.score), _mask_array(m, shape), m.id, _hints(m))
        for m in instances
    )
    return Detections(items, message.reason)


def _mask_array(message: InstanceMask, shape: tuple[int, int]) -> NDArray[np.bool_]:
    roi = message.roi
    pixels = roi.width * roi.height
    inside = roi.x_offset + roi.width <= shape[1] and roi.y_offset + roi.height <= shape[0]
    if not inside or len(message.mask) != (pixels + 7) // 8:
        raise InvalidInput(
            f"mask {message.id!r}: {len(message.mask)} bytes for a {roi.width}×{roi.height} crop "
            f"at ({roi.x_offset}, {roi.y_offset}) of a {shape[1]}×{shape[0]} image; expected "
            f"{(pixels + 7) // 8} bytes inside the image (see msg/InstanceMask.msg)"
        )
    bits = np.unpackbits(np.frombuffer(message.mask, np.uint8), count=pixels)
    mask = np.zeros(shape, bool)
    rows = slice(roi.y_offset, roi.y_offset + roi.height)
    cols = slice(roi.x_offset, roi.x_offset + roi.width)
    mask[rows, cols] = bits.reshape(roi.height, roi.width)
    return mask


def _hints(message: InstanceMask) -> NDArray[np.float64]:
    try:
        hints = [transform_from_pose(pose) for pose in message.pose_hints]
    except InvalidInput as error:
        raise InvalidInput(f"pose hint of {message.id!r}: {error}") from error
    return np.array(hints, np.float64).reshape(-1, 4, 4)


def detection_2d_array(detections: Detections, header: Header) -> Detection2DArray:
    """Boxes, classes and scores with the image's header, without pose (covariance[0] = -1)."""
    message = Detection2DArray(header=header)
    for detection in detections.items:
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id = detection.class_id
        result.hypothesis.score = float(detection.score)
        result.pose.covariance[0] = UNKNOWN_COVARIANCE
        box = _box_message(detection)
        entry = Detection2D(header=header, results=[result], bbox=box, id=detection.instance_id)
        message.detections.append(entry)
    return message


def _box_message(detection: Detection) -> BoundingBox2D:
    """Size in pixels and centre, where pixel centres are at integers."""
    x, y, width, height = detection.bbox_xywh
    box = BoundingBox2D(size_x=float(width), size_y=float(height))
    if width and height:
        box.center.position.x = x + (width - 1) / 2
        box.center.position.y = y + (height - 1) / 2
    return box
