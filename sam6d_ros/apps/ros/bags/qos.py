"""Quality of service: recorded in a bag, offered again on replay, asked for when recording.

The rules are those of rosbag2 (``rosbag2_storage/qos.cpp``), so that both play and record alike.
"""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.duration import Duration, Infinite
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSProfile,
    ReliabilityPolicy,
)
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)

from sam6d_ros.frames.bags.transforms import TF_STATIC
from sam6d_ros.geometry.units import NS_PER_S

DEFAULT_DEPTH = 10  # of rosbag2 and of most drivers
# Deepest queue that is taken over from a bag: the number comes from a file.
MAX_DEPTH = 1000
# Messages that wait in the middleware while the disk is busy: the only queue of a recording,
# which bounds its memory. What does not fit is lost, and counted.
RECORD_DEPTH = 50


def recorded(profile: QoSProfile) -> Qos:
    """QoS of a publisher, as a bag states it."""
    return Qos(
        history=QosHistory(int(profile.history)),
        depth=profile.depth,
        reliability=QosReliability(int(profile.reliability)),
        durability=QosDurability(int(profile.durability)),
        deadline=_recorded_time(profile.deadline),
        lifespan=_recorded_time(profile.lifespan),
        liveliness=QosLiveliness(int(profile.liveliness)),
        liveliness_lease_duration=_recorded_time(profile.liveliness_lease_duration),
        avoid_ros_namespace_conventions=profile.avoid_ros_namespace_conventions,
    )


def _recorded_time(duration: Duration) -> QosTime:
    return QosTime(*divmod(duration.nanoseconds, NS_PER_S))


def same_offer(offers: Sequence[Qos]) -> bool:
    """Whether all publishers of a topic offered what readers see as the same."""
    return len({(o.reliability, o.durability, o.deadline, o.liveliness) for o in offers}) < 2


def offer_of(offers: Sequence[Qos], name: str = "") -> QoSProfile:
    """Return the QoS to offer on replay for the publishers of one recorded topic.

    One publisher stands for all of them, so its queue holds what theirs held together. When they
    differed, rosbag2's default is offered, as it does. A bag without QoS, as converters write it,
    has its static transforms latched: tf2 subscribes to them in no other way.
    """
    profile = QoSProfile(depth=DEFAULT_DEPTH)
    if not offers and name == TF_STATIC:
        profile.depth = MAX_DEPTH
        profile.durability = DurabilityPolicy.TRANSIENT_LOCAL
    if not offers or not same_offer(offers):
        return profile
    # Discovery does not transmit depths, so most bags have 0 there.
    depth = sum(max(offer.depth, DEFAULT_DEPTH) for offer in offers)
    profile.depth = min(depth, MAX_DEPTH)
    first = offers[0]
    if first.reliability is QosReliability.BEST_EFFORT:
        profile.reliability = ReliabilityPolicy.BEST_EFFORT
    if first.durability is QosDurability.TRANSIENT_LOCAL:
        profile.durability = DurabilityPolicy.TRANSIENT_LOCAL
    if first.history is QosHistory.KEEP_ALL:
        profile.history = HistoryPolicy.KEEP_ALL
    # Readers that ask for a deadline match only who offers one.
    if (deadline := _duration(first.deadline)) < Infinite:
        profile.deadline = deadline
    if first.liveliness is QosLiveliness.AUTOMATIC:
        profile.liveliness = LivelinessPolicy.AUTOMATIC
    return profile


def _duration(time: QosTime) -> Duration:
    nanoseconds = time.sec * NS_PER_S + time.nsec
    return Duration(nanoseconds=nanoseconds) if 0 < nanoseconds < Infinite.nanoseconds else Infinite


def request_for(offers: Sequence[QoSProfile]) -> QoSProfile:
    """Return the QoS to request so that every publisher of a topic is compatible.

    Reliable, and latched messages, only when all of them offer it.
    """
    profile = QoSProfile(depth=RECORD_DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT)
    if all(is_reliable(offer) for offer in offers):
        profile.reliability = ReliabilityPolicy.RELIABLE
    if all(is_latched(offer) for offer in offers):
        profile.durability = DurabilityPolicy.TRANSIENT_LOCAL
        profile.depth = MAX_DEPTH  # /tf_static has a message of each publisher
    return profile


def asks_less(new: QoSProfile, old: QoSProfile) -> bool:
    """Return whether ``new`` is compatible with publishers that ``old`` excludes."""
    gives_up_reliable = is_reliable(old) and not is_reliable(new)
    return gives_up_reliable or (is_latched(old) and not is_latched(new))


def is_reliable(profile: QoSProfile) -> bool:
    """Whether lost messages are sent again."""
    return bool(profile.reliability == ReliabilityPolicy.RELIABLE)


def is_latched(profile: QoSProfile) -> bool:
    """Whether late readers get the last messages."""
    return bool(profile.durability == DurabilityPolicy.TRANSIENT_LOCAL)
