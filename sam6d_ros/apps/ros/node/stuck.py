"""Parameters of the watch of a node's work in progress, and the status with that watch."""

from __future__ import annotations

import math

from rclpy.node import Node

from sam6d_ros.apps.ros.node.parameters import Parameter
from sam6d_ros.runtime.status import HostStatus, Log
from sam6d_ros.runtime.work_watch import WorkWatch

MOST_S = 86400.0
PARAMETERS = (
    Parameter(
        "stuck_after_s",
        120.0,
        "time of one frame or request after which the node reports itself as stuck, seconds; "
        "0: never",
        limits=(0.0, MOST_S),
    ),
    Parameter(
        "load_stuck_after_s",
        1200.0,
        "the same for a load, and for a change of the objects, seconds; 0: never",
        limits=(0.0, MOST_S),
    ),
    Parameter(
        "end_when_stuck",
        False,
        "end the process with status 1 when it is stuck, except while it is configured, for a "
        "launch file that starts it again",
    ),
)


def watched_status(node: Node, log: Log) -> HostStatus:
    """Return the status of a node that has these parameters.

    Args:
        node: that has them.
        log: destination of log lines.
    """
    work_s, load_s = (
        node.get_parameter(name).value or math.inf
        for name in ("stuck_after_s", "load_stuck_after_s")
    )
    return HostStatus(node.get_fully_qualified_name(), log, watch=WorkWatch(work_s, load_s))
