"""Pixels → ``Image`` messages; ``frames.messages.images`` reads them."""

from __future__ import annotations

import numpy as np
from cv_bridge import CvBridge
from numpy.typing import NDArray
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from sam6d_ros.frames.messages.images import values_from_metres

_bridge = CvBridge()


def image_from_rgb(rgb: NDArray[np.uint8], header: Header) -> Image:
    """An rgb8 image message of (H, W, 3) uint8 RGB."""
    message = _bridge.cv2_to_imgmsg(np.ascontiguousarray(rgb), encoding="rgb8")
    message.header = header
    return message


def depth_image_from_metres(
    depth: NDArray[np.float32], header: Header, encoding: str = "16UC1"
) -> Image:
    """Return a depth message of (H, W) float32 metres, 0 = no measurement.

    Raises:
        InvalidFrame: another encoding is asked for.
    """
    message = _bridge.cv2_to_imgmsg(values_from_metres(depth, encoding), encoding=encoding)
    message.header = header
    return message
