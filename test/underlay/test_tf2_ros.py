"""Transforms reach their listeners over DDS, the static ones even when they come late."""

from geometry_msgs.msg import TransformStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def transform(child: str, x: float = 0.0) -> TransformStamped:
    stamped = TransformStamped(child_frame_id=child)
    stamped.header.frame_id = "camera"
    stamped.transform.translation.x = x
    return stamped


def children(message: TFMessage) -> list[str]:
    return [t.child_frame_id for t in message.transforms]


def test_transforms_arrive_on_tf_one_or_many_per_message(ros) -> None:
    received: list[TFMessage] = []
    ros.node("listener").create_subscription(TFMessage, "/tf", received.append, 10)
    broadcaster = TransformBroadcaster(ros.node("broadcaster"))
    ros.wait_for(lambda: broadcaster.pub_tf.get_subscription_count(), "the listener")
    broadcaster.sendTransform(transform("mug", x=0.25))
    broadcaster.sendTransform((transform("box"), transform("can")))
    ros.wait_for(lambda: len(received) == 2, "both messages")
    assert [children(m) for m in received] == [["mug"], ["box", "can"]]
    assert received[0].transforms[0].transform.translation.x == 0.25


def test_late_listener_gets_every_static_transform_as_first_sent(ros) -> None:
    broadcaster = StaticTransformBroadcaster(ros.node("broadcaster"))
    broadcaster.sendTransform(transform("base", x=1.0))
    broadcaster.sendTransform([transform("tool"), transform("base", x=2.0)])
    received: list[TFMessage] = []
    ros.node("listener").create_subscription(TFMessage, "/tf_static", received.append, LATCHED)
    ros.wait_for(lambda: received, "the latched transforms")
    assert children(received[-1]) == ["base", "tool"]
    assert received[-1].transforms[0].transform.translation.x == 1.0


def test_quality_of_service_is_the_originals(ros) -> None:
    node = ros.node("broadcaster")
    moving, static = TransformBroadcaster(node), StaticTransformBroadcaster(node)
    assert moving.pub_tf.qos_profile.depth == 100
    assert moving.pub_tf.qos_profile.durability == DurabilityPolicy.VOLATILE
    assert static.pub_tf.qos_profile.depth == 1
    assert static.pub_tf.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert TransformBroadcaster(node, qos=7).pub_tf.qos_profile.depth == 7
