"""Laws of the synchronizers, on messages handed in directly, then over DDS."""

from types import SimpleNamespace

import pytest
from builtin_interfaces.msg import Time as TimeMsg
from hypothesis import given
from hypothesis import strategies as st
from message_filters import (
    ApproximateTimeSynchronizer,
    Cache,
    SimpleFilter,
    Subscriber,
    TimeSynchronizer,
)
from rclpy.qos import qos_profile_sensor_data
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header, String

MS = 1_000_000


def message(ms: float) -> Header:
    """The smallest thing with a header stamp: something whose `header` is a Header."""
    ns = round(ms * MS)
    stamp = TimeMsg(sec=ns // 10**9, nanosec=ns % 10**9)
    return SimpleNamespace(header=Header(stamp=stamp), ms=ms)


class Rig:
    """A synchronizer with two or three inputs, and what came out of it as tuples of times."""

    def __init__(self, kind: type, *args, inputs: int = 2, **kwargs) -> None:
        self.inputs = [SimpleFilter() for _ in range(inputs)]
        self.sync = kind(self.inputs, *args, **kwargs)
        self.sets: list[tuple[float, ...]] = []
        self.sync.registerCallback(lambda *msgs: self.sets.append(tuple(m.ms for m in msgs)))

    def feed(self, *arrivals: tuple[int, float]) -> list[tuple[float, ...]]:
        for index, ms in arrivals:
            self.inputs[index].signalMessage(message(ms))
        return self.sets


def test_callbacks_get_the_message_then_their_own_arguments_in_order() -> None:
    seen = []
    source = SimpleFilter()
    source.registerCallback(lambda *args: seen.append(args), "first", 1)
    source.registerCallback(lambda *args: seen.append(args), "second")
    source.signalMessage("message")
    assert seen == [("message", "first", 1), ("message", "second")]


def test_exact_pairs_only_equal_stamps_in_order_of_inputs() -> None:
    sets = Rig(TimeSynchronizer, 10).feed((1, 10), (0, 10), (0, 20), (1, 20.001), (1, 30), (0, 30))
    assert sets == [(10, 10), (30, 30)]


def test_exact_waits_for_every_input() -> None:
    rig = Rig(TimeSynchronizer, 10, inputs=3)
    assert rig.feed((0, 5), (1, 5)) == []
    assert rig.feed((2, 5)) == [(5, 5, 5)]


def test_full_queue_drops_the_oldest_stamp() -> None:
    rig = Rig(TimeSynchronizer, 2)
    assert rig.feed((0, 10), (0, 20), (0, 30), (1, 10)) == []
    assert rig.feed((1, 20), (1, 30)) == [(20, 20), (30, 30)]


def test_delivered_messages_are_forgotten() -> None:
    rig = Rig(ApproximateTimeSynchronizer, 10, 0.05)
    assert rig.feed((0, 10), (1, 12), (1, 14)) == [(10, 12)]
    assert rig.feed((0, 13)) == [(10, 12), (13, 14)]


@pytest.mark.parametrize(("apart_ms", "pairs"), [(0, True), (19.9, True), (20, False), (21, False)])
def test_slop_is_exclusive(apart_ms: float, pairs: bool) -> None:
    sets = Rig(ApproximateTimeSynchronizer, 10, 0.02).feed((0, 100), (1, 100 + apart_ms))
    assert bool(sets) is pairs


def test_nearest_partner_wins() -> None:
    assert Rig(ApproximateTimeSynchronizer, 10, 0.05).feed(
        (1, 80), (1, 98), (1, 130), (0, 100)
    ) == [(100, 98)]


def test_slop_bounds_the_whole_set_not_each_pair() -> None:
    rig = Rig(ApproximateTimeSynchronizer, 10, 0.02, inputs=3)
    assert rig.feed((1, 85), (2, 115), (0, 100)) == []
    assert rig.feed((2, 101)) == [(100, 85, 101)]


def test_message_that_is_itself_evicted_pairs_with_nothing() -> None:
    rig = Rig(ApproximateTimeSynchronizer, 1, 0.5)
    assert rig.feed((0, 100), (1, 900), (0, 300)) == []
    rig.feed((0, 200))  # older than what the queue of one holds
    assert rig.feed((1, 1000)) == []
    assert list(rig.sync.queues[0]) == [300 * MS]


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 300)), max_size=40))
def test_no_set_exceeds_the_slop_and_no_message_is_used_twice(arrivals) -> None:
    rig = Rig(ApproximateTimeSynchronizer, 5, 0.03)
    sets = rig.feed(*arrivals)
    assert all(abs(a - b) < 30 for a, b in sets)
    for index in (0, 1):
        used = [s[index] for s in sets]
        offered = [ms for i, ms in arrivals if i == index]
        assert all(used.count(ms) <= offered.count(ms) for ms in used)
    assert all(len(queue) <= 5 for queue in rig.sync.queues)


def test_headerless_messages_pair_by_arrival_only_when_allowed() -> None:
    for allowed in (False, True):
        inputs = [SimpleFilter(), SimpleFilter()]
        sync = ApproximateTimeSynchronizer(inputs, 10, 5.0, allow_headerless=allowed)
        got = []
        sync.registerCallback(lambda *msgs, got=got: got.append(msgs))
        inputs[0].signalMessage(String(data="a"))
        inputs[1].signalMessage(String(data="b"))
        assert len(got) == int(allowed)


def test_cache_keeps_the_newest_and_answers_about_time() -> None:
    source = SimpleFilter()
    cache = Cache(source, cache_size=3)
    assert cache.getLast() is None
    for ms in (10, 20, 30, 40):
        source.signalMessage(message(ms))
    at = {ms: Time.from_msg(message(ms).header.stamp) for ms in (5, 20, 25, 35, 40, 50)}
    assert [m.ms for m in cache.getInterval(at[20], at[35])] == [20, 30]
    assert cache.getElemAfterTime(at[25]).ms == 30
    assert cache.getElemBeforeTime(at[25]).ms == 20
    assert cache.getElemBeforeTime(at[5]) is None
    assert cache.getElemAfterTime(at[50]) is None
    assert (cache.getOldestTime(), cache.getLastestTime()) == (at[20], at[40])
    assert cache.getLast().ms == 40


def test_subscribers_feed_a_synchronizer_over_dds(ros) -> None:
    node, sender = ros.node("receiver"), ros.node("sender")
    topics = ("left/camera_info", "right/camera_info")
    filters = [
        Subscriber(node, CameraInfo, topics[0], qos_profile=qos_profile_sensor_data),
        Subscriber(node, CameraInfo, topics[1]),
    ]
    assert filters[0].getTopic() == topics[0]
    assert filters[0].topic_name == "/left/camera_info"  # an attribute of the subscription
    assert filters[1].sub.qos_profile.depth == 10
    pairs = []
    sync = ApproximateTimeSynchronizer(filters, queue_size=5, slop=0.01)
    sync.registerCallback(lambda left, right: pairs.append((left.width, right.width)))
    publishers = [sender.create_publisher(CameraInfo, topic, 10) for topic in topics]
    ros.wait_for(lambda: all(p.get_subscription_count() for p in publishers), "discovery")
    for publisher, ms, width in zip(publishers, (50, 55), (1, 2), strict=True):
        publisher.publish(CameraInfo(header=message(ms).header, width=width))
    ros.wait_for(lambda: pairs, "the pair")
    assert pairs == [(1, 2)]
