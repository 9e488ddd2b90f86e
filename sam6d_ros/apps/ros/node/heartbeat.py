"""Heartbeats of the nodes of one namespace, on one topic, and the watch of the others."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from sam6d_ros.apps.ros.node import topics
from sam6d_ros.apps.ros.node.lifecycle import ManagedNode
from sam6d_ros.apps.ros.node.qos import RESULTS
from sam6d_ros.runtime.peers import MAX_TEXT, PERIOD_S, Beat, PeerWatch


class Heartbeats:
    """Heartbeat of a managed node, and sentences about peers that are missing or stuck.

    Args:
        node: that beats.
        changed: called when the sentences or the node's own ability to work have changed.

    Attributes:
        problems: the sentences.
    """

    def __init__(self, node: ManagedNode, changed: Callable[[], None]) -> None:
        self._node, self._changed = node, changed
        self.problems: list[str] = []
        self._stuck = ""
        self._instance = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._watch = PeerWatch(lambda name: is_announced(node, name))
        self._publisher = node.create_publisher(DiagnosticStatus, topics.HEARTBEAT, RESULTS)
        node.create_subscription(DiagnosticStatus, topics.HEARTBEAT, self._heard, RESULTS)
        node.create_timer(PERIOD_S, self._tick, clock=Clock(clock_type=ClockType.STEADY_TIME))

    @property
    def peers_load(self) -> bool:
        """Whether another node of the namespace is being configured."""
        return self._watch.loading

    def _heard(self, message: DiagnosticStatus) -> None:
        beat = beat_of(message)
        if beat.name != self._node.status.name:
            self._watch.heard(beat)

    def _tick(self) -> None:
        node, stuck = self._node, self._node.status.stuck()
        self._publisher.publish(_message(node, stuck, self._instance))
        problems = self._watch.problems()
        if stuck != self._stuck:
            node.follow_stuck(stuck)
        if problems != self.problems or stuck != self._stuck:
            for text in set(problems) - set(self.problems):
                node.status.log(logging.WARNING, text, key=text)
            self.problems, self._stuck = problems, stuck
            self._changed()


def is_announced(node: Node, name: str) -> bool:
    """Whether DDS has a node of this full name; one that died stays until its lease ends."""
    found = node.get_node_names_and_namespaces()
    return any(f"{namespace.rstrip('/')}/{one}" == name for one, namespace in found)


def beat_of(message: DiagnosticStatus) -> Beat:
    """Read a heartbeat; its texts are cut."""
    values = {one.key: one.value[:MAX_TEXT] for one in message.values}
    return Beat(
        message.name,
        message.hardware_id[:MAX_TEXT],
        values.get("lifecycle", ""),
        values.get("stuck", ""),
        values.get("failed", "") == "true",
    )


def _message(node: ManagedNode, stuck: str, instance: str) -> DiagnosticStatus:
    state = node.status.snapshot().state.value
    values = {"lifecycle": node.lifecycle, "stuck": stuck, "failed": str(node.broken).lower()}
    return DiagnosticStatus(
        level=DiagnosticStatus.ERROR if stuck or node.broken else DiagnosticStatus.OK,
        name=node.status.name,
        message=state,
        hardware_id=instance,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )
