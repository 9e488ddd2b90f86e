"""A subscription as the first filter of a chain."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node

from message_filters.simple_filter import SimpleFilter


class Subscriber(SimpleFilter):
    """Subscribes with the arguments of `Node.create_subscription`, less the callback.

    The node, the message type and the topic are positional, as in the original. Anything that a
    subscription has (`topic_name`, `get_publisher_count()`, …) can be asked of the filter.
    """

    def __init__(self, node: Node, msg_type: type, topic: str, /, **kwargs: Any) -> None:
        super().__init__()
        self.node = node
        self.topic = topic
        kwargs.setdefault("qos_profile", 10)
        self.sub = node.create_subscription(msg_type, topic, self.callback, **kwargs)

    def callback(self, msg: Any) -> None:
        """Pass one received message on."""
        self.signalMessage(msg)

    def getTopic(self) -> str:
        """Topic name as it was given, before remapping."""
        return self.topic

    def __getattr__(self, key: str) -> Any:
        """Everything else is the subscription's."""
        if key == "sub":  # creating it failed; do not look for it in itself
            raise AttributeError(key)
        return getattr(self.sub, key)
