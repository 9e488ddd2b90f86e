"""Frames that a node segments by itself: the newest ones, at a limited rate, or none."""

from __future__ import annotations

import time

from rclpy.node import Node

from sam6d_ros.apps.ros.node.parameters import Parameter
from sam6d_ros.runtime.status import HostStatus

CONTINUOUS, ON_DEMAND = "continuous", "on_demand"

PARAMETERS = (
    Parameter(
        "mode",
        CONTINUOUS,
        "continuous: work on the newest frame; on_demand: only when asked",
        read_only=False,
        choices=(CONTINUOUS, ON_DEMAND),
    ),
    Parameter(
        "max_rate_hz",
        0.0,
        "most frames per second that continuous mode takes; 0: no limit",
        read_only=False,
        limits=(0.0, 1000.0),
    ),
)


class RateLimit:
    """Rate limit: at most so many per second."""

    def __init__(self) -> None:
        self._taken = -float("inf")

    def take(self, rate_hz: float, now: float) -> bool:
        """Whether one that comes now (seconds) may pass; a rate of 0 is no limit."""
        if rate_hz <= 0:
            return True
        period = 1 / rate_hz
        if now - self._taken < period:
            return False
        # On the beat although frames come a little late, so that the rate is reached on average;
        # but never two within half a period.
        self._taken = max(self._taken + period, now - period / 2)
        return True


class FrameSchedule:
    """Decision on each frame by the parameters ``mode`` and ``max_rate_hz``."""

    def __init__(self, node: Node, status: HostStatus) -> None:
        self._node, self._status = node, status
        self._limit = RateLimit()

    def takes(self) -> bool:
        """Whether the frame that has just come is segmented; counts those beyond the rate."""
        on_demand = self._node.get_parameter("mode").value == ON_DEMAND
        self._status.serves_on_demand(on_demand)
        if on_demand:
            return False
        taken = self._limit.take(self._node.get_parameter("max_rate_hz").value, time.monotonic())
        if not taken:
            self._status.stats.skip()
        return taken
