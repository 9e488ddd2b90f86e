"""Transforms reach their listeners over DDS, the static ones even when they come late."""

import itertools
import threading

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time
from scipy.spatial.transform import Rotation
from tf2_msgs.msg import TFMessage
from tf2_ros import (
    Buffer,
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    StaticTransformBroadcaster,
    TransformBroadcaster,
    TransformException,
    TransformListener,
)

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


def moving(parent: str, child: str, seconds: float = 0.0, *, xyz=(0, 0, 0), rpy=(0, 0, 0)):
    stamped = TransformStamped(child_frame_id=child)
    stamped.header.frame_id = parent
    stamped.header.stamp = Time(nanoseconds=int(seconds * 1e9)).to_msg()
    t, r = stamped.transform.translation, stamped.transform.rotation
    t.x, t.y, t.z = (float(v) for v in xyz)
    r.x, r.y, r.z, r.w = Rotation.from_euler("xyz", rpy).as_quat()
    return stamped


def matrix(stamped: TransformStamped) -> np.ndarray:
    t, r = stamped.transform.translation, stamped.transform.rotation
    out = np.eye(4)
    out[:3, :3] = Rotation.from_quat([r.x, r.y, r.z, r.w]).as_matrix()
    out[:3, 3] = t.x, t.y, t.z
    return out


def at(seconds: float) -> Time:
    return Time(nanoseconds=int(seconds * 1e9))


def buffer_of(*transforms: TransformStamped, static: bool = False) -> Buffer:
    buffer = Buffer()
    for one in transforms:
        (buffer.set_transform_static if static else buffer.set_transform)(one, "test")
    return buffer


def test_any_two_frames_of_a_tree_are_related_by_the_product_of_the_edges() -> None:
    base_arm = moving("base", "arm", xyz=(1, 2, 3), rpy=(0.1, 0.2, 0.3))
    arm_camera = moving("arm", "camera", xyz=(0.5, 0, 1), rpy=(1, -0.4, 2))
    base_tool = moving("base", "tool", xyz=(0, -1, 0), rpy=(-0.7, 0, 1))
    buffer = buffer_of(base_arm, arm_camera, base_tool, static=True)
    base_from = {
        "base": np.eye(4),
        "arm": matrix(base_arm),
        "camera": matrix(base_arm) @ matrix(arm_camera),
        "tool": matrix(base_tool),
    }
    for target, source in itertools.product(base_from, base_from):
        found = buffer.lookup_transform(target, source, at(7.5))
        assert (found.header.frame_id, found.child_frame_id) == (target, source)
        assert found.header.stamp == at(7.5).to_msg()
        expected = np.linalg.inv(base_from[target]) @ base_from[source]
        np.testing.assert_allclose(matrix(found), expected, atol=1e-12)


def test_between_two_stamps_the_motion_is_even_and_turns_the_short_way() -> None:
    buffer = buffer_of(
        moving("base", "arm", 10, xyz=(0, 0, 0), rpy=(0, 0, 0.2)),
        moving("base", "arm", 12, xyz=(2, 0, 0), rpy=(0, 0, 1.0)),
    )
    for seconds in (10, 10.5, 11, 12):
        found = matrix(buffer.lookup_transform("base", "arm", at(seconds)))
        turn = Rotation.from_matrix(found[:3, :3]).as_euler("xyz")
        np.testing.assert_allclose(found[:3, 3], (seconds - 10, 0, 0), atol=1e-9)
        np.testing.assert_allclose(turn, (0, 0, 0.2 + 0.4 * (seconds - 10)), atol=1e-9)


def test_time_zero_is_the_newest_time_at_which_the_whole_chain_is_known() -> None:
    buffer = buffer_of(
        moving("base", "arm", 10),
        moving("base", "arm", 12, xyz=(2, 0, 0)),
        moving("arm", "camera", 9),
        moving("arm", "camera", 11, xyz=(0, 1, 0)),
    )
    found = buffer.lookup_transform("base", "camera", Time())
    assert found.header.stamp == at(11).to_msg()
    np.testing.assert_allclose(matrix(found)[:3, 3], (1, 1, 0))


def test_what_is_wrong_with_a_question_has_the_originals_type() -> None:
    buffer = buffer_of(
        moving("base", "arm", 10), moving("base", "arm", 12), moving("map", "odom", 10)
    )
    for error, target, source, time, reason in (
        (LookupException, "base", "camera", 11, '"camera" passed to .* does not exist'),
        (InvalidArgumentException, "", "arm", 11, "cannot be empty"),
        (InvalidArgumentException, "/base", "arm", 11, "cannot start with a '/'"),
        (ConnectivityException, "base", "map", 0, "not part of the same tree"),
        (ExtrapolationException, "base", "arm", 13, "into the future.*latest data is at time 12"),
        (ExtrapolationException, "base", "arm", 9, "into the past.*earliest data is at time 10"),
        (ExtrapolationException, "map", "odom", 11, "only time 10.000000 is in the buffer"),
    ):
        assert issubclass(error, TransformException)
        with pytest.raises(error, match=reason):
            buffer.lookup_transform(target, source, at(time))
        known, reason = buffer.can_transform(target, source, at(time), return_debug_tuple=True)
        assert not known
        assert reason
        assert buffer.can_transform(target, source, at(time)) is False


def test_a_time_that_is_unknown_above_the_common_frame_does_not_matter() -> None:
    buffer = buffer_of(moving("map", "base", 99), moving("base", "arm", 10))
    buffer.set_transform_static(moving("base", "tool"), "test")
    assert buffer.can_transform("arm", "tool", at(10))


def test_transforms_that_cannot_be_are_ignored() -> None:
    broken = moving("base", "arm")
    broken.transform.rotation.w = 2.0
    nan = moving("base", "arm", xyz=(float("nan"), 0, 0))
    buffer = buffer_of(moving("arm", "arm"), moving("", "arm"), moving("base", ""), broken, nan)
    assert not buffer.can_transform("base", "arm", Time())


def test_transforms_older_than_the_cache_are_forgotten_and_refused() -> None:
    buffer = Buffer(cache_time=Duration(seconds=2))
    for seconds in (10, 11, 12, 13, 9):
        buffer.set_transform(moving("base", "arm", seconds), "test")
    assert not buffer.can_transform("base", "arm", at(10))
    assert buffer.can_transform("base", "arm", at(11))
    loop = buffer_of(moving("a", "b"), moving("b", "c"), moving("c", "a"), static=True)
    with pytest.raises(LookupException, match="contains a loop"):
        loop.lookup_transform("a", "b", Time())


def test_a_listener_fills_its_buffer_and_a_wait_ends_when_the_transform_comes(ros) -> None:
    node, sender = ros.node("listener"), ros.node("sender")
    buffer = Buffer(node=node)
    listener = TransformListener(buffer, node)
    broadcaster, static = TransformBroadcaster(sender), StaticTransformBroadcaster(sender)
    static.sendTransform(moving("base", "arm", xyz=(1, 0, 0)))
    found: list[TransformStamped] = []

    def wait() -> None:
        found.append(buffer.lookup_transform("base", "camera", at(5), Duration(seconds=20)))

    waiting = threading.Thread(target=wait)
    waiting.start()
    ros.wait_for(lambda: broadcaster.pub_tf.get_subscription_count(), "the listener")
    broadcaster.sendTransform([moving("arm", "camera", 4), moving("arm", "camera", 6)])
    ros.wait_for(lambda: not waiting.is_alive(), "the answer")
    np.testing.assert_allclose(matrix(found[0])[:3, 3], (1, 0, 0))
    listener.unregister()
    assert broadcaster.pub_tf.get_subscription_count() == 0


def test_a_wait_in_vain_ends_at_its_timeout() -> None:
    buffer, clock = Buffer(), Buffer().clock
    start = clock.now()
    with pytest.raises(LookupException):
        buffer.lookup_transform("base", "arm", at(1), timeout=Duration(seconds=0.1))
    assert 0.1 <= (clock.now() - start).nanoseconds / 1e9 < 5


def test_a_clock_that_jumps_back_empties_the_buffer_but_for_what_never_changes(ros) -> None:
    from rclpy.parameter import Parameter
    from rosgraph_msgs.msg import Clock

    node = ros.node("listener", parameter_overrides=[Parameter("use_sim_time", value=True)])
    buffer = Buffer(node=node)
    clock = ros.node("simulation").create_publisher(Clock, "/clock", 10)
    ros.wait_for(clock.get_subscription_count, "the node to hear the clock")

    def set_clock(seconds: float) -> None:
        clock.publish(Clock(clock=at(seconds).to_msg()))
        ros.wait_for(lambda: abs(node.get_clock().now().nanoseconds / 1e9 - seconds) < 0.1, "time")

    set_clock(100)
    buffer.set_transform(moving("base", "arm", 100), "test")
    buffer.set_transform_static(moving("base", "tool"), "test")
    set_clock(101)
    assert buffer.can_transform("base", "arm", at(100))
    set_clock(50)
    assert not buffer.can_transform("base", "arm", at(100))
    assert buffer.can_transform("base", "tool", at(100))
