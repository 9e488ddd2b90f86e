"""The topics that carry poses: the same for the node that finds them and the one that follows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from sensor_msgs.msg import Image
from std_msgs.msg import Header
from tf2_ros import TransformBroadcaster
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.node import base_frame, topics
from sam6d_ros.apps.ros.node.base_frame import BaseFrame, Transforms
from sam6d_ros.apps.ros.node.lifecycle import ManagedNode
from sam6d_ros.apps.ros.node.parameters import Parameter
from sam6d_ros.apps.ros.node.qos import RESULTS
from sam6d_ros.apps.ros.outputs.classes import ClassPoses
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.types import Frame, PoseEstimates
from sam6d_ros.visualize import draw_poses

PARAMETERS = (
    Parameter("publish_tf", True, "broadcast a TF frame per instance", read_only=False),
    Parameter("tf_prefix", "", "put before every TF child frame's name", read_only=False),
    *base_frame.PARAMETERS,
)


class PoseOutputs:
    """``~/detections``, ``~/poses/<class>``, TF, and for viewers ``~/markers`` and ``~/overlay``.

    With a ``base_frame`` also ``~/base/detections``, between ``open`` and ``close``.

    Args:
        node: has ``PARAMETERS``.
        view_rate_hz: gives how often markers and overlays are made at most (default: always).
        transforms: of the node, if others use them too.
    """

    def __init__(
        self,
        node: ManagedNode,
        view_rate_hz: Callable[[], float] = lambda: math.inf,
        transforms: Transforms | None = None,
    ) -> None:
        self._node = node
        create = node.create_lifecycle_publisher
        self._detections = create(Detection3DArray, topics.DETECTIONS, RESULTS)
        self._base_detections = create(Detection3DArray, topics.BASE_DETECTIONS, RESULTS)
        self._base = BaseFrame(node, node.status, self._note_base, transforms)
        self._base_problem = ""
        self._markers = create(MarkerArray, topics.MARKERS, RESULTS)
        self._overlay = create(Image, topics.OVERLAY, RESULTS)
        # These two are no part of the lifecycle; callers publish while the node is active.
        self._tf = TransformBroadcaster(node)
        self._class_poses = ClassPoses(node)
        self._view_rate_hz, self._view_due = view_rate_hz, 0.0
        self.update({})

    def open(self) -> None:
        """Subscribe to TF, if there is a base frame; in the executor."""
        self._base.open()

    def close(self) -> None:
        """Listen no more."""
        self._base.close()

    @property
    def problem(self) -> str:
        """Reason why the last detections are not in the base frame; empty if they are."""
        return self._base_problem

    def _note_base(self, problem: str) -> None:
        self._base_problem = problem

    def update(self, models: Mapping[str, ObjectModel]) -> None:
        """Make what is made once per object; no objects: drop all of it."""
        self._models = models
        self._mesh_markers = conversions.MeshMarkers(models)
        self._class_poses.update(models)

    def publish(
        self, frame: Frame, poses: PoseEstimates, header: Header, complete: bool = True
    ) -> Detection3DArray:
        """Publish the poses in a frame with the header of its colour image.

        Callers do so within ``ManagedNode.publishing``.

        Args:
            complete: whether all objects were searched in the whole image. Otherwise only TF and
                viewers get the poses: a missing object in detections and poses means absence.
            frame: the image.
            poses: the poses.
            header: of the colour image.

        Returns:
            The published detections.
        """
        message = conversions.detection_3d_array(poses, header, self._models)
        if complete:
            self._detections.publish(message)
            self._publish_in_base(poses, header)
            self._class_poses.publish(poses, header)
        self._send_transforms(poses, header)
        now = time.monotonic()
        if now >= self._view_due:
            self._view_due = now + 1 / self._view_rate_hz()
            self._publish_views(frame, poses, header)
        return message

    def _publish_in_base(self, poses: PoseEstimates, header: Header) -> None:
        """The detections in the base frame; none while the transform is not known."""
        base_from_cam = self._base.from_camera(header)
        if base_from_cam is not None:
            own = Header(stamp=header.stamp, frame_id=self._base.name)
            message = conversions.detection_3d_array(poses, own, self._models, base_from_cam)
            self._base_detections.publish(message)

    def _send_transforms(self, poses: PoseEstimates, header: Header) -> None:
        seen = replace(poses, items=tuple(pose for pose in poses.items if pose.confirmed))
        if len(seen) and self._node.get_parameter("publish_tf").value:
            prefix = self._node.get_parameter("tf_prefix").value
            self._tf.sendTransform(conversions.transforms_from_poses(seen, header, prefix))

    def _publish_views(self, frame: Frame, poses: PoseEstimates, header: Header) -> None:
        """Publish markers and overlay if they have subscribers."""
        if self._markers.get_subscription_count():
            self._markers.publish(self._mesh_markers.message(poses, header))
        if self._overlay.get_subscription_count():
            image = draw_poses(frame.rgb, frame.camera, poses.items, self._models)
            self._overlay.publish(conversions.image_from_rgb(image, header))
