"""Diagnostics and figures of a node around a host, once per second; its heartbeat."""

from __future__ import annotations

import math
from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from std_msgs.msg import Header

from sam6d_ros.apps.ros.conversions import stamp_ns_of
from sam6d_ros.apps.ros.node import reports, topics
from sam6d_ros.apps.ros.node.heartbeat import Heartbeats
from sam6d_ros.apps.ros.node.lifecycle import ManagedNode
from sam6d_ros.apps.ros.node.qos import RESULTS
from sam6d_ros.msg import NodeStats


class StatusOutputs:
    """Publishes ``/diagnostics`` and ``~/stats`` from the status and the host of a node."""

    def __init__(self, node: ManagedNode) -> None:
        self._node = node
        self._diagnostics = node.create_publisher(DiagnosticArray, topics.DIAGNOSTICS, RESULTS)
        self._stats = node.create_publisher(NodeStats, topics.STATS, RESULTS)
        self._heartbeats = Heartbeats(node, self._publish)
        node.peers_load = lambda: self._heartbeats.peers_load
        self._timer = node.create_timer(
            topics.DIAGNOSTICS_PERIOD_S,
            self._publish,
            # Not the node's clock: a paused simulation must not silence the diagnostics.
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    def published(self, header: Header, found: Mapping[str, float] | None = None) -> None:
        """Record that the result of the image with this header was published.

        Args:
            found: score of each instance by its id, if the result is of all objects.
            header: of the image.
        """
        status, age_s = self._node.status, math.nan
        now_ns = self._node.get_clock().now().nanoseconds
        if now_ns > 0:  # a simulation's clock may not run yet
            age_s = 1e-9 * (now_ns - stamp_ns_of(header))
            status.stats.record_result(age_s)
        if found is not None:
            status.results.add(found, age_s)

    def _publish(self) -> None:
        node, dropped = self._node, self._node.host.counts.dropped
        peers = self._heartbeats.problems
        row = reports.diagnostic_status(node.status, dropped, node.lifecycle, peers)
        header = Header(stamp=node.get_clock().now().to_msg())
        self._diagnostics.publish(DiagnosticArray(header=header, status=[row]))
        self._stats.publish(reports.node_stats(node.status, header, dropped))
