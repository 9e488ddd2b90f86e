"""``Boxes`` ↔ 2D detection messages; label image → ``Boxes`` with masks.

A box message has its centre where pixel centres are at integers, as `vision_msgs` boxes of this
package; ``Boxes`` have edges, where 0 is the outer edge of the first pixel.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import (
    BoundingBox2D,
    Detection2D,
    Detection2DArray,
    ObjectHypothesisWithPose,
)

from sam6d_ros.apps.ros.conversions.frames import stamp_ns_of
from sam6d_ros.apps.ros.conversions.images import labels_from_image
from sam6d_ros.apps.ros.conversions.masks import UNKNOWN_COVARIANCE
from sam6d_ros.types import Boxes

MIN_INSTANCE_PX = 50  # smaller parts of a label image are specks
PIXEL_CENTRE = 0.5


def boxes_from_detection_2d_array(message: Detection2DArray) -> Boxes:
    """Return the boxes of a detector, each with its best hypothesis.

    A turned box gives the upright one around it. The class is ``class_id`` as it is, a number as
    text for example; a detection without hypothesis has the class "" and the score 0.

    Raises:
        InvalidInput: an edge is not finite, or a score is outside [0, 1].
    """
    rows, labels, scores = [], [], []
    for detection in message.detections:
        best = max(
            (result.hypothesis for result in detection.results), key=lambda h: h.score, default=None
        )
        rows.append(_edges(detection.bbox))
        labels.append("" if best is None else best.class_id)
        scores.append(0.0 if best is None else best.score)
    return Boxes(
        np.array(rows, np.float32).reshape(-1, 4),
        tuple(labels),
        np.array(scores, np.float32),
        stamp_ns=stamp_ns_of(message.header),
    )


def _edges(box: BoundingBox2D) -> list[float]:
    """Left, top, right, bottom in pixels."""
    centre, cos, sin = box.center.position, math.cos(box.center.theta), math.sin(box.center.theta)
    width = abs(box.size_x * cos) + abs(box.size_y * sin)
    height = abs(box.size_x * sin) + abs(box.size_y * cos)
    x, y = centre.x + PIXEL_CENTRE, centre.y + PIXEL_CENTRE
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def detection_2d_array_from_boxes(boxes: Boxes, header: Header) -> Detection2DArray:
    """Return boxes, classes and scores with the image's header, without pose (covariance -1)."""
    message = Detection2DArray(header=header)
    for xyxy, label, score in zip(boxes.xyxy, boxes.labels, boxes.scores, strict=True):
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id, result.hypothesis.score = label, float(score)
        result.pose.covariance[0] = UNKNOWN_COVARIANCE
        left, top, right, bottom = (float(edge) for edge in xyxy)
        box = BoundingBox2D(size_x=right - left, size_y=bottom - top)
        box.center.position.x = (left + right) / 2 - PIXEL_CENTRE
        box.center.position.y = (top + bottom) / 2 - PIXEL_CENTRE
        message.detections.append(Detection2D(header=header, results=[result], bbox=box))
    return message


def boxes_from_label_image(message: Image) -> Boxes:
    """Return the connected parts of a label image as instances with masks.

    Args:
        message: mono8, 8UC1, mono16 or 16UC1; 0 is background, another value a class. The class
            name is the number as text.

    Returns:
        One instance, of score 1, for each connected part of MIN_INSTANCE_PX pixels or more.

    Raises:
        InvalidFrame: encoding, size or length of the data is wrong.
    """
    labels = labels_from_image(message)
    rows, names, masks = [], [], []
    for value in np.unique(labels[labels > 0]).tolist():
        count, parts, stats, _ = cv2.connectedComponentsWithStats(
            (labels == value).astype(np.uint8)
        )
        for part in range(1, count):
            left, top, width, height, pixels = stats[part].tolist()
            if pixels >= MIN_INSTANCE_PX:
                rows.append([left, top, left + width, top + height])
                names.append(str(value))
                masks.append(parts == part)
    return Boxes(
        np.array(rows, np.float32).reshape(-1, 4),
        tuple(names),
        np.ones(len(rows), np.float32),
        np.array(masks, bool).reshape(-1, *labels.shape),
        stamp_ns_of(message.header),
    )
