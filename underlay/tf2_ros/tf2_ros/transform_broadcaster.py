"""Publishes transforms that change."""

from __future__ import annotations

from collections.abc import Iterable

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile
from tf2_msgs.msg import TFMessage


def as_list(transform: TransformStamped | Iterable[TransformStamped]) -> list[TransformStamped]:
    """One transform or any number of them as a list."""
    return list(transform) if isinstance(transform, Iterable) else [transform]


class TransformBroadcaster:
    """Sends transforms on `/tf`; reliable, with a history of 100 unless `qos` is given."""

    def __init__(self, node: Node, qos: QoSProfile | int | None = None) -> None:
        self.pub_tf = node.create_publisher(
            TFMessage, "/tf", QoSProfile(depth=100) if qos is None else qos
        )

    def sendTransform(self, transform: TransformStamped | Iterable[TransformStamped]) -> None:
        """Send one transform or several in one message."""
        self.pub_tf.publish(TFMessage(transforms=as_list(transform)))
