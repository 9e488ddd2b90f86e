"""Boundary around callbacks: an error of one is reported, and the executor goes on."""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence

from rclpy.executors import Executor
from rclpy.node import Node

from sam6d_ros.apps.ros.node.lifecycle import ManagedNode

# A process whose callbacks fail all the time is of no use: it ends, and launch starts it again.
MOST_ERRORS, WITHIN_S = 50, 10.0


def spin_guarded(
    executor: Executor,
    nodes: Sequence[Node],
    ok: Callable[[], bool],
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Spin until the context ends; report the error of a callback at every node of the process.

    rclpy ends the spinning with the error of any callback, and of messages that it cannot convert.
    A defect in a callback leads the nodes to ``on_error``; an error of rclpy itself concerns one
    message only, which any program may send, and is only reported.

    Args:
        executor: of the nodes.
        nodes: errors go to the status of each; if one has none, the first error is raised.
        ok: whether the context is valid; errors after its end are raised.
        clock: seconds that never jump.

    Raises:
        Exception: the newest error, if ``MOST_ERRORS`` came within ``WITHIN_S``.
    """
    times: deque[float] = deque(maxlen=MOST_ERRORS)
    while True:
        try:
            executor.spin()
            return
        except Exception as error:  # the boundary of all callbacks
            managed = [node for node in nodes if isinstance(node, ManagedNode)]
            times.append(clock())
            too_many = len(times) == MOST_ERRORS and times[-1] - times[0] < WITHIN_S
            if too_many or len(managed) < len(nodes) or not ok():
                raise
            for node in managed:
                if _of_rclpy_alone(error):
                    node.status.failed(error)
                else:
                    node.callback_failed(error)


def _of_rclpy_alone(error: BaseException) -> bool:
    """Whether no code outside rclpy is between this module and the error."""
    _, *frames = traceback.walk_tb(error.__traceback__)
    modules = (frame.f_globals.get("__name__", "") for frame, _ in frames)
    return all(name.partition(".")[0] == "rclpy" for name in modules)
