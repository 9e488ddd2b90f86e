"""Stand-in for the broadcasters of `tf2_ros` (ros2/geometry2, Jazzy and Kilted)."""

from tf2_ros.static_transform_broadcaster import StaticTransformBroadcaster
from tf2_ros.transform_broadcaster import TransformBroadcaster

__all__ = ["StaticTransformBroadcaster", "TransformBroadcaster"]
