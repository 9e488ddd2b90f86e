"""The topics that carry poses: the same for the node that finds them and the one that follows."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from sensor_msgs.msg import Image
from std_msgs.msg import Header
from tf2_ros import TransformBroadcaster
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.node import topics
from sam6d_ros.apps.ros.node.qos import RESULTS
from sam6d_ros.apps.ros.object_topics import ClassPoses
from sam6d_ros.apps.ros.parameters import Parameter
from sam6d_ros.apps.ros.vision_node import VisionNode
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.types import Frame, PoseEstimates
from sam6d_ros.visualize import draw_poses

PARAMETERS = (
    Parameter("publish_tf", True, "broadcast a TF frame per instance", read_only=False),
    Parameter("tf_prefix", "", "put before every TF child frame's name", read_only=False),
)


class PoseOutputs:
    """``~/detections``, ``~/poses/<class>``, TF, and for viewers ``~/markers`` and ``~/overlay``.

    Args:
        node: has ``PARAMETERS``.
        view_rate_hz: markers and overlays are made at most that often.
    """

    def __init__(self, node: VisionNode, view_rate_hz: float = float("inf")) -> None:
        self._node = node
        create = node.create_lifecycle_publisher
        self._detections = create(Detection3DArray, topics.DETECTIONS, RESULTS)
        self._markers = create(MarkerArray, topics.MARKERS, RESULTS)
        self._overlay = create(Image, topics.OVERLAY, RESULTS)
        # These two are no part of the lifecycle; callers publish while the node is active.
        self._tf = TransformBroadcaster(node)
        self._class_poses = ClassPoses(node)
        self._view_period_s, self._view_due = 1 / view_rate_hz, 0.0
        self.update({})

    def update(self, models: Mapping[str, ObjectModel]) -> None:
        """Make what is made once per object; no objects: forget all of it."""
        self._models = models
        self._mesh_markers = conversions.MeshMarkers(models)
        self._class_poses.update(models)

    def publish(
        self, frame: Frame, poses: PoseEstimates, header: Header, complete: bool = True
    ) -> Detection3DArray:
        """Publish the poses in a frame with its colour image's header; return the detections.

        Callers do so within ``ManagedNode.publishing``.

        Args:
            complete: all objects were looked for everywhere. Else TF and viewers alone are told:
                readers of detections and poses take what is missing there for gone.
        """
        message = conversions.detection_3d_array(poses, header, self._models)
        if complete:
            self._detections.publish(message)
            self._class_poses.publish(poses, header)
        self._send_transforms(poses, header)
        now = time.monotonic()
        if now >= self._view_due:
            self._view_due = now + self._view_period_s
            self._publish_views(frame, poses, header)
        return message

    def _send_transforms(self, poses: PoseEstimates, header: Header) -> None:
        seen = replace(poses, items=tuple(pose for pose in poses.items if pose.confirmed))
        if len(seen) and self._node.get_parameter("publish_tf").value:
            prefix = self._node.get_parameter("tf_prefix").value
            self._tf.sendTransform(conversions.transforms_from_poses(seen, header, prefix))

    def _publish_views(self, frame: Frame, poses: PoseEstimates, header: Header) -> None:
        """What is only made when somebody looks."""
        if self._markers.get_subscription_count():
            self._markers.publish(self._mesh_markers.message(poses, header))
        if self._overlay.get_subscription_count():
            image = draw_poses(frame.rgb, frame.camera, poses.items, self._models)
            self._overlay.publish(conversions.image_from_rgb(image, header))
