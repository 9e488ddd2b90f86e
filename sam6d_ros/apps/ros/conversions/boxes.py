"""``Boxes`` ↔ 2D detection messages; label image → ``Boxes`` with masks.

A box message has its centre where pixel centres are at integers, as `vision_msgs` boxes of this
package; ``Boxes`` have edges, where 0 is the outer edge of the first pixel.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import (
    BoundingBox2D,
    Detection2D,
    Detection2DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
)

from sam6d_ros.apps.ros.conversions.frames import stamp_ns_of
from sam6d_ros.apps.ros.conversions.masks import UNKNOWN_COVARIANCE
from sam6d_ros.frames.messages.images import labels_from_image
from sam6d_ros.types import Boxes

MIN_INSTANCE_PX = 50  # smaller parts of a label image are specks
MOST_INSTANCES = 100  # of a label image: each has a mask of the whole image
MOST_BOXES = 300  # of one image: each costs time in the search
PIXEL_CENTRE = 0.5


def boxes_from_detection_2d_array(message: Detection2DArray) -> Boxes:
    """Return the boxes of a detector, each with its best hypothesis.

    Of more than ``MOST_BOXES`` those of the best scores are taken. A turned box gives the upright
    one around it. The class is ``class_id`` as it is, a number as
    text for example; a detection without hypothesis has the class "" and the score 0.

    Raises:
        InvalidInput: an edge is not finite, or a score is outside [0, 1].
    """
    rows, labels, scores = [], [], []
    found = [(_best(detection), detection) for detection in message.detections]
    if len(found) > MOST_BOXES:
        found.sort(key=lambda one: 1.0 if one[0] is None else -one[0].score)
    for best, detection in found[:MOST_BOXES]:
        rows.append(_edges(detection.bbox))
        labels.append("" if best is None else best.class_id)
        scores.append(0.0 if best is None else best.score)
    return Boxes(
        np.array(rows, np.float32).reshape(-1, 4),
        tuple(labels),
        np.array(scores, np.float32),
        stamp_ns=stamp_ns_of(message.header),
    )


def _best(detection: Detection2D) -> ObjectHypothesis | None:
    hypotheses = (result.hypothesis for result in detection.results)
    return max(hypotheses, key=lambda one: one.score, default=None)


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
        One instance, of score 1, for each connected part of MIN_INSTANCE_PX pixels or more; of
        more than MOST_INSTANCES the largest.

    Raises:
        InvalidFrame: encoding, size or length of the data is wrong.
    """
    labels = labels_from_image(message)
    pixels = np.bincount(labels.ravel(), minlength=1)
    pixels[0] = 0
    largest = np.argsort(-pixels, kind="stable")[:MOST_INSTANCES]
    found: list[_Part] = []
    for value in sorted(largest[pixels[largest] >= MIN_INSTANCE_PX].tolist()):
        found += _parts_of(labels, value)
        if len(found) > MOST_INSTANCES:
            found.sort(key=lambda part: -part.pixels)
            del found[MOST_INSTANCES:]
    return Boxes(
        np.array([part.xyxy for part in found], np.float32).reshape(-1, 4),
        tuple(str(part.value) for part in found),
        np.ones(len(found), np.float32),
        np.array([part.mask for part in found], bool).reshape(-1, *labels.shape),
        stamp_ns_of(message.header),
    )


class _Part(NamedTuple):
    """Connected part of a label image."""

    value: int
    pixels: int
    xyxy: tuple[int, int, int, int]
    mask: NDArray[np.bool_]


def _parts_of(labels: NDArray[np.integer], value: int) -> list[_Part]:
    """Return the largest connected parts of one value, in the order of the image."""
    _, numbers, stats, _ = cv2.connectedComponentsWithStats((labels == value).astype(np.uint8))
    sizes = stats[1:, cv2.CC_STAT_AREA]
    largest = np.argsort(-sizes, kind="stable")[:MOST_INSTANCES]
    parts = []
    for index in sorted(largest[sizes[largest] >= MIN_INSTANCE_PX].tolist()):
        left, top, width, height, pixels = stats[index + 1].tolist()
        box = (left, top, left + width, top + height)
        parts.append(_Part(value, pixels, box, numbers == index + 1))
    return parts
