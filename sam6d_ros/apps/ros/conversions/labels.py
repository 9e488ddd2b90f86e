"""``Detections`` → label images: which class, or which instance, a pixel belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from cv_bridge import CvBridge
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import LabelInfo, VisionClass

from sam6d_ros.types import Detections

_bridge = CvBridge()


def label_image(
    detections: Detections, header: Header, image_shape: tuple[int, int], ids: Mapping[str, int]
) -> Image:
    """Return the class of each pixel: 0 is background, else the number that ``label_info`` names.

    Where masks overlap, the best detection is on top. mono8, or 16UC1 when a class has a number
    above 255.
    """
    values = [ids[detection.class_id] for detection in detections.items]
    return _image(detections, header, image_shape, values, max(ids.values(), default=0))


def instance_image(detections: Detections, header: Header, image_shape: tuple[int, int]) -> Image:
    """Return the instance of each pixel: 0 is background, n the n-th detection, best first.

    mono8, or 16UC1 for more than 255 instances.
    """
    values = range(1, len(detections) + 1)
    return _image(detections, header, image_shape, values, len(detections))


def _image(
    detections: Detections,
    header: Header,
    image_shape: tuple[int, int],
    values: Sequence[int],
    highest: int,
) -> Image:
    few = highest <= np.iinfo(np.uint8).max
    labels = np.zeros(image_shape, np.uint8 if few else np.uint16)
    for detection, value in reversed(list(zip(detections.items, values, strict=True))):
        labels[detection.mask] = value
    message = _bridge.cv2_to_imgmsg(labels, encoding="mono8" if few else "16UC1")
    message.header = header
    return message


def label_info(ids: Mapping[str, int], header: Header) -> LabelInfo:
    """The names of a label image's numbers. No mask is left out for its score: threshold 0."""
    class_map = [VisionClass(class_id=number, class_name=name) for name, number in ids.items()]
    return LabelInfo(header=header, class_map=class_map, threshold=0.0)
