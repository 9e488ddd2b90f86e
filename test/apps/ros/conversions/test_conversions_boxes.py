"""Boxes of a 2D detector as messages, and label images."""

from __future__ import annotations

import math

import numpy as np
import pytest
from cv_bridge import CvBridge
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from sam6d_ros.apps.ros import conversions
from sam6d_ros.errors import InvalidFrame, InvalidInput
from sam6d_ros.types import Boxes, Detection, Detections

HEADER = conversions.header_from(5_000_000_007, "cam_optical_frame")


def boxes() -> Boxes:
    xyxy = np.array([[10, 20, 30, 60], [0, 0, 0.5, 2.25]], np.float32)
    return Boxes(xyxy, ("cup", "7"), np.array([0.5, 1], np.float32), stamp_ns=5_000_000_007)


def test_boxes_come_back_from_their_message() -> None:
    message = conversions.detection_2d_array_from_boxes(boxes(), HEADER)
    assert message.header == HEADER
    assert all(found.header == HEADER for found in message.detections)
    assert message.detections[0].results[0].pose.covariance[0] == -1
    back = conversions.boxes_from_detection_2d_array(message)
    assert np.allclose(back.xyxy, boxes().xyxy)
    assert (back.labels, back.stamp_ns) == (boxes().labels, boxes().stamp_ns)
    assert np.allclose(back.scores, boxes().scores)
    assert len(conversions.boxes_from_detection_2d_array(Detection2DArray())) == 0


def test_the_boxes_of_masks_enclose_their_pixels() -> None:
    """What the segmentation node publishes may go in front of another one."""
    mask = np.zeros((60, 80), bool)
    mask[20:31, 10:21] = True
    found = Detections((Detection("cup", 0.5, mask),))
    back = conversions.boxes_from_detection_2d_array(conversions.detection_2d_array(found, HEADER))
    assert back.xyxy.tolist() == [[10, 20, 21, 31]]


def test_a_turned_box_gives_the_upright_one_around_it() -> None:
    message = conversions.detection_2d_array_from_boxes(boxes(), HEADER)
    message.detections[0].bbox.center.theta = math.pi / 2
    back = conversions.boxes_from_detection_2d_array(message)
    assert np.allclose(back.xyxy[0], [0, 30, 40, 50], atol=1e-4)


def test_the_best_hypothesis_counts_and_none_is_a_class_of_no_object() -> None:
    message = conversions.detection_2d_array_from_boxes(boxes(), HEADER)
    better = ObjectHypothesisWithPose()
    better.hypothesis.class_id, better.hypothesis.score = "mug", 0.75
    message.detections[0].results.append(better)
    message.detections[1].results = []
    back = conversions.boxes_from_detection_2d_array(message)
    assert back.labels == ("mug", "")
    assert back.scores.tolist() == [0.75, 0]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_box_that_is_none_is_refused(value) -> None:
    message = conversions.detection_2d_array_from_boxes(boxes(), HEADER)
    message.detections[0].bbox.center.position.x = value
    with pytest.raises(InvalidInput, match="NaN or infinite"):
        conversions.boxes_from_detection_2d_array(message)
    message.detections[0].bbox.center.position.x = 0.0
    message.detections[0].results[0].hypothesis.score = 87.0
    with pytest.raises(InvalidInput, match="scores"):
        conversions.boxes_from_detection_2d_array(message)


@pytest.mark.parametrize(
    ("encoding", "kind"),
    [("mono8", np.uint8), ("8UC1", np.uint8), ("mono16", np.uint16), ("16UC1", np.uint16)],
)
def test_connected_parts_of_a_label_image_are_instances(encoding, kind) -> None:
    high = 7 if kind is np.uint8 else 300
    labels = np.zeros((60, 80), kind)
    labels[5:15, 5:15], labels[30:50, 5:15], labels[10:30, 40:60] = high, high, 2
    labels[0, 70] = 2  # a speck
    message = CvBridge().cv2_to_imgmsg(labels, encoding=encoding)
    message.header = HEADER
    found = conversions.boxes_from_label_image(message)
    assert found.labels == ("2", str(high), str(high))
    assert found.xyxy.tolist() == [[40, 10, 60, 30], [5, 5, 15, 15], [5, 30, 15, 50]]
    assert found.masks is not None
    assert found.masks.sum((1, 2)).tolist() == [400, 100, 200]
    assert found.stamp_ns == 5_000_000_007
    nothing = CvBridge().cv2_to_imgmsg(0 * labels, encoding=encoding)
    assert len(conversions.boxes_from_label_image(nothing)) == 0


def test_a_colour_image_is_no_label_image() -> None:
    message = conversions.image_from_rgb(np.zeros((6, 8, 3), np.uint8), HEADER)
    with pytest.raises(InvalidFrame, match="'rgb8'; expected one of"):
        conversions.boxes_from_label_image(message)


def test_a_label_image_of_very_many_parts_gives_the_largest() -> None:
    """Each value was searched in the whole image, for minutes, in the executor's thread."""
    labels = np.arange(480 * 640, dtype=np.uint16).reshape(480, 640)  # parts of few pixels
    labels[::9] = labels[:, ::9] = 0
    for number in range(200):  # and 200 of 8 × 8 and more
        row, col = divmod(number, 20)
        height = 8 + number % 3
        labels[12 * row : 12 * row + height + 1, 12 * col : 12 * col + 9] = 0
        labels[12 * row : 12 * row + height, 12 * col : 12 * col + 8] = 1 + number
    found = conversions.boxes_from_label_image(CvBridge().cv2_to_imgmsg(labels, "16UC1"))
    assert len(found) == 100
    assert found.masks is not None
    assert found.masks.sum((1, 2)).min() > 8 * 8  # the larger ones of them


def test_one_value_in_very_many_parts_gives_the_largest() -> None:
    labels = np.zeros((480, 640), np.uint8)
    for row in range(0, 480, 10):
        labels[row : row + 8, : 640 - 640 % 10] = 1
    labels[:, ::10] = 0
    labels[:, 9::10] = 0
    found = conversions.boxes_from_label_image(CvBridge().cv2_to_imgmsg(labels, "8UC1"))
    assert len(found) == 100


def test_of_very_many_boxes_the_best_are_taken() -> None:
    message = Detection2DArray()
    for number in range(1000):
        result = ObjectHypothesisWithPose()
        result.hypothesis.score = number / 1000
        entry = Detection2D(results=[result] if number else [])
        message.detections.append(entry)
    found = conversions.boxes_from_detection_2d_array(message)
    assert len(found) == 300
    assert found.scores.min() == pytest.approx(0.7)
