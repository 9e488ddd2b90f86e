"""Publishes transforms that never change."""

from __future__ import annotations

from collections.abc import Iterable

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

from tf2_ros.transform_broadcaster import as_list


class StaticTransformBroadcaster:
    """Sends transforms on `/tf_static`, latched: who subscribes later still gets all of them.

    A child frame is sent as it was given first; later values for it are ignored, as in the
    original (ros2/geometry2 pull request 705: static transforms are meant to be immutable).
    """

    def __init__(self, node: Node, qos: QoSProfile | int | None = None) -> None:
        latched = QoSProfile(
            depth=1,
            durability=DurabilityPolicy.TRANSIENT_LOCAL,
            history=HistoryPolicy.KEEP_LAST,
        )
        self.pub_tf = node.create_publisher(
            TFMessage, "/tf_static", latched if qos is None else qos
        )
        self.net_message = TFMessage()
        self._child_frame_ids: set[str] = set()

    def sendTransform(self, transform: TransformStamped | Iterable[TransformStamped]) -> None:
        """Add one transform or several to those sent before and send them all."""
        for stamped in as_list(transform):
            if stamped.child_frame_id not in self._child_frame_ids:
                self._child_frame_ids.add(stamped.child_frame_id)
                self.net_message.transforms.append(stamped)
        self.pub_tf.publish(self.net_message)
