"""Topics of the ROS graph written into a bag as they come."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo

from sam6d_ros.apps.ros.bags.definitions import message_class
from sam6d_ros.apps.ros.bags.qos import asks_less, request_for
from sam6d_ros.apps.ros.bags.writer import BagWriter
from sam6d_ros.errors import InvalidBag

log = logging.getLogger(__name__)


class Recorder:
    """Subscribes to topics as their publishers appear, and writes what they send.

    Args:
        topics: absolute names; None records all that are not hidden.
    """

    def __init__(self, node: Node, writer: BagWriter, topics: Sequence[str] | None) -> None:
        self._node, self._writer, self._topics = node, writer, topics
        self._subscriptions: dict[str, tuple[Subscription, QoSProfile]] = {}
        self._refused: set[str] = set()
        self._gaps: dict[str, Gaps] = {}

    @property
    def lost(self) -> Mapping[str, int]:
        """Messages per topic that were sent but did not arrive here."""
        return {topic: gaps.lost for topic, gaps in self._gaps.items() if gaps.lost}

    def missing(self) -> list[str]:
        """Topics that were asked for and not found."""
        return [topic for topic in self._topics or () if topic not in self._subscriptions]

    def look_around(self) -> None:
        """Subscribe to what has appeared; call now and then."""
        for topic, _ in self._node.get_topic_names_and_types():
            if self._is_wanted(topic):
                self._subscribe(topic)

    def _is_wanted(self, topic: str) -> bool:
        if topic in self._refused:
            return False
        if self._topics is not None:
            return topic in self._topics
        # Names with a part that begins with an underscore are hidden (as `ros2 topic list` has it).
        return not any(part.startswith("_") for part in topic.split("/"))

    def _subscribe(self, topic: str) -> None:
        """Subscribe, or again when a new publisher offers less than was asked for."""
        publishers = [
            info
            for info in self._node.get_publishers_info_by_topic(topic)
            if info.node_name != self._node.get_name()
        ]
        known = topic in self._subscriptions
        if not publishers or not (known or self._begin(topic, publishers)):
            return
        self._gaps[topic].several = len(publishers) > 1
        wanted = request_for([info.qos_profile for info in publishers])
        if known:
            subscription, before = self._subscriptions[topic]
            if not asks_less(wanted, before):
                return
            self._node.destroy_subscription(subscription)
        kind = message_class(publishers[0].topic_type)
        subscription = self._node.create_subscription(
            kind, topic, self._writing(topic), wanted, raw=True
        )
        self._subscriptions[topic] = (subscription, wanted)

    def _begin(self, topic: str, publishers: Sequence[TopicEndpointInfo]) -> bool:
        """Begin the topic in the bag; False, with a warning, when its type is unknown."""
        types = sorted({info.topic_type for info in publishers})
        try:
            if len(types) > 1:
                raise InvalidBag(f"it has several types: {', '.join(types)}")
            message_class(types[0])
            self._writer.add_topic(topic, types[0], [info.qos_profile for info in publishers])
        except InvalidBag as error:
            log.warning("topic %s is not recorded: %s", topic, error)
            self._refused.add(topic)
            return False
        self._gaps[topic] = Gaps()
        return True

    def _writing(self, topic: str) -> Callable[[bytes, Mapping[str, Any]], None]:
        clock, gaps = self._node.get_clock(), self._gaps[topic]

        def write(data: bytes, info: Mapping[str, Any]) -> None:
            # Kilted gives the publisher of a message, Jazzy does not.
            sender = info.get("publisher_gid") or {}
            gaps.saw(info["publication_sequence_number"], sender.get("data"))
            self._writer.write_raw(topic, clock.now().nanoseconds, data)

        return write


class Gaps:
    """Counts what is missing between the numbers that a publisher gives its messages.

    Where messages do not carry their publisher, the numbers of several publishers mix, and nothing
    is counted.
    """

    def __init__(self) -> None:
        self.lost, self.several = 0, False
        self._last: dict[bytes | None, int] = {}

    def saw(self, number: int | None, sender: bytes | None = None) -> None:
        """Note a message; ``number`` is None where the middleware does not number them."""
        if number is None or (self.several and sender is None):
            self._last.pop(sender, None)
            return
        last = self._last.get(sender, number)
        if number > last:  # else: the first one, or the publisher began anew
            self.lost += number - last - 1
        self._last[sender] = number
