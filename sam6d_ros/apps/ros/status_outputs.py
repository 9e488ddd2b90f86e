"""Diagnostics and figures of a node around a host, once per second."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from std_msgs.msg import Header

from sam6d_ros.apps.ros import reports
from sam6d_ros.apps.ros.conversions import stamp_ns_of
from sam6d_ros.apps.ros.managed_node import ManagedNode
from sam6d_ros.apps.ros.node import topics
from sam6d_ros.apps.ros.node.qos import RESULTS
from sam6d_ros.msg import NodeStats


class StatusOutputs:
    """Publishes ``/diagnostics`` and ``~/stats`` from the status and the host of a node."""

    def __init__(self, node: ManagedNode) -> None:
        self._node = node
        self._diagnostics = node.create_publisher(DiagnosticArray, topics.DIAGNOSTICS, RESULTS)
        self._stats = node.create_publisher(NodeStats, topics.STATS, RESULTS)
        self._timer = node.create_timer(
            topics.DIAGNOSTICS_PERIOD_S,
            self._publish,
            # Not the node's clock: a paused simulation must not silence the diagnostics.
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    def published(self, header: Header) -> None:
        """Note that the result of the image with this header has just been published."""
        now_ns = self._node.get_clock().now().nanoseconds
        if now_ns > 0:  # a simulation's clock may not run yet
            self._node.status.stats.publish(1e-9 * (now_ns - stamp_ns_of(header)))

    def _publish(self) -> None:
        node, dropped = self._node, self._node.host.counts.dropped
        row = reports.diagnostic_status(node.status, dropped, node.lifecycle)
        header = Header(stamp=node.get_clock().now().to_msg())
        self._diagnostics.publish(DiagnosticArray(header=header, status=[row]))
        self._stats.publish(reports.node_stats(node.status, header, dropped))
