"""Stand-in for the Python API of `cv_bridge` (ros-perception/vision_opencv, Jazzy and Kilted)."""

from cv_bridge.core import CvBridge, CvBridgeError

__all__ = ["CvBridge", "CvBridgeError"]
