"""Parts of replay and record without a graph: QoS, bag time, losses, signals."""

from __future__ import annotations

import signal

import pytest
from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from support.bag_maker import BEST_EFFORT

from sam6d_ros.apps.ros.bags import qos
from sam6d_ros.apps.ros.bags.recorder import Gaps
from sam6d_ros.apps.ros.bags.schedule import Schedule
from sam6d_ros.apps.ros.bags.signals import Interruption
from sam6d_ros.apps.ros.node.qos import LATCHED


def test_recorded_qos_is_offered_again():
    latched = qos.offer_of([qos.recorded(LATCHED)] * 3)
    assert latched.durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert latched.reliability == ReliabilityPolicy.RELIABLE
    assert latched.depth == 30, "one publisher holds what three held"
    best_effort = qos.offer_of([qos.recorded(BEST_EFFORT)])
    assert best_effort.reliability == ReliabilityPolicy.BEST_EFFORT
    assert best_effort.durability != DurabilityPolicy.TRANSIENT_LOCAL
    assert not best_effort.deadline.nanoseconds
    timely = QoSProfile(depth=1, deadline=Duration(seconds=2))
    assert qos.offer_of([qos.recorded(timely)]).deadline == Duration(seconds=2)
    for mixed in ([], [qos.recorded(BEST_EFFORT), qos.recorded(LATCHED)]):
        assert qos.offer_of(mixed).reliability == ReliabilityPolicy.RELIABLE
        assert qos.offer_of(mixed).durability != DurabilityPolicy.TRANSIENT_LOCAL


def test_static_transforms_of_a_bag_without_qos_are_latched():
    assert qos.is_latched(qos.offer_of([], "/tf_static"))
    assert not qos.is_latched(qos.offer_of([qos.recorded(QoSProfile(depth=1))], "/tf_static"))
    assert not qos.is_latched(qos.offer_of([], "/tf"))


def test_recording_asks_for_what_every_publisher_offers():
    reliable = QoSProfile(depth=1)
    assert qos.is_reliable(qos.request_for([reliable, LATCHED]))
    assert not qos.is_latched(qos.request_for([reliable, LATCHED]))
    assert qos.is_latched(qos.request_for([LATCHED, LATCHED]))
    assert not qos.is_reliable(qos.request_for([reliable, BEST_EFFORT]))
    assert qos.asks_less(qos.request_for([BEST_EFFORT]), qos.request_for([reliable]))
    assert not qos.asks_less(qos.request_for([reliable]), qos.request_for([BEST_EFFORT]))


def test_a_bag_time_schedule_follows_its_rate():
    now = [100.0]
    schedule = Schedule(5_000_000_000, rate=2.0, clock=lambda: now[0])
    now[0] += 7
    assert schedule.now_ns() == 5_000_000_000, "it stands until it is started"
    schedule.start()
    assert schedule.seconds_until(6_000_000_000) == pytest.approx(0.5)
    now[0] += 0.75
    assert schedule.now_ns() == 6_500_000_000
    assert schedule.seconds_until(6_000_000_000) == pytest.approx(-0.25)


def test_gaps_in_the_numbers_of_one_publisher_are_losses():
    gaps = Gaps()
    for number in (7, 8, 11, 1, 2, 4):
        gaps.saw(number)
    assert gaps.lost == 3, "9, 10 and 3; that the publisher began anew is none"
    gaps.several = True
    gaps.saw(900)
    gaps.several = False
    gaps.saw(950)
    gaps.saw(None)
    gaps.saw(1000)
    assert gaps.lost == 3


def test_gaps_of_several_publishers_are_told_apart_when_messages_name_them():
    gaps = Gaps()
    gaps.several = True
    for number, sender in ((10, b"a"), (1, b"b"), (11, b"a"), (4, b"b"), (13, b"a")):
        gaps.saw(number, sender)
    assert gaps.lost == 3, "2 and 3 of b, 12 of a"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_interrupts(number):
    before = signal.getsignal(number)
    with Interruption() as interruption:
        assert not interruption.asked
        signal.raise_signal(number)
        assert interruption.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) is before
