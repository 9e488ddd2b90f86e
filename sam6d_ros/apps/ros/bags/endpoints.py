"""ROS endpoints of the bag player: publishers, ``/clock``, readiness subscriptions."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Bool

from sam6d_ros.apps.ros.bags.definitions import message_class
from sam6d_ros.apps.ros.bags.qos import offer_of, same_offer
from sam6d_ros.apps.ros.bags.reader import BagReader, Topic
from sam6d_ros.apps.ros.node.qos import LATCHED
from sam6d_ros.errors import InvalidBag
from sam6d_ros.geometry.units import NS_PER_S

log = logging.getLogger(__name__)

CLOCK = "/clock"


class BagClock:
    """Bag time on ``/clock``, a number of times per second and at once when asked first."""

    def __init__(self, node: Node, hz: float) -> None:
        # Reliable suits every reader; only the newest time is of use.
        self._publisher = node.create_publisher(Clock, CLOCK, QoSProfile(depth=1))
        self._period_s = 1.0 / hz
        self._due_s = time.monotonic()

    def due_in_s(self) -> float:
        """Seconds until the next tick."""
        return self._due_s - time.monotonic()

    def tick(self, bag_ns: int) -> None:
        """Publish when it is due."""
        if self.due_in_s() > 0:
            return
        self._due_s = time.monotonic() + self._period_s
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(bag_ns, NS_PER_S)
        self._publisher.publish(message)


class ReadyTopics:
    """Latched topics that report when a node is ready; ``missing`` are those that did not yet."""

    def __init__(self, node: Node, topics: Sequence[str]) -> None:
        self.missing = set(topics)
        for topic in sorted(self.missing):
            node.create_subscription(Bool, topic, self._note(topic), LATCHED)

    def _note(self, topic: str) -> Callable[[Bool], None]:
        def note(message: Bool) -> None:
            if message.data:
                self.missing.discard(topic)

        return note


def make_publishers(
    node: Node, bag: BagReader, names: Sequence[str], remap: Mapping[str, str], own_clock: bool
) -> dict[Topic, Publisher]:
    """Create a publisher for each topic that can be played, with the QoS that was recorded.

    Args:
        names: of the topics to play; empty: all of the bag.
        remap: other names to publish under.
        own_clock: bag time is published on /clock, so a recorded one is not played.
        node: publishes.
        bag: the recording.

    Returns:
        Publishers by topic.

    Raises:
        InvalidBag: a topic that was asked for is not in the bag, or none can be played.
    """
    wanted = [bag.topic(name) for name in names] or list(bag.topics)
    publishers: dict[Topic, Publisher] = {}
    taken = set()
    for topic in wanted:
        name = remap.get(topic.name, topic.name)
        if reason := _why_not(topic, name in taken, own_clock):
            log.warning("topic %s is not played: %s", topic.name, reason)
            continue
        taken.add(name)
        if not same_offer(topic.offers):
            log.warning("topic %s: its publishers offered different QoS", topic.name)
        kind = message_class(topic.type_name)
        publishers[topic] = node.create_publisher(kind, name, offer_of(topic.offers, topic.name))
    if not publishers:
        raise InvalidBag(f"{bag.path}: no topic can be played")
    return publishers


def _why_not(topic: Topic, taken: bool, own_clock: bool) -> str:
    """Return the reason why a topic cannot be played; empty if it can."""
    if taken:
        return "another topic is played under the same name"
    if own_clock and topic.name == CLOCK:
        return "bag time is published there"
    try:
        message_class(topic.type_name)
    except InvalidBag as error:
        return str(error)
    return ""
