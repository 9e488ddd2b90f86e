"""A process around nodes: start rclpy, spin until told to stop, leave cleanly."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from sam6d_ros.apps.environment import allow_openexr
from sam6d_ros.apps.ros import log_bridge
from sam6d_ros.apps.threads import share_the_cores
from sam6d_ros.errors import Sam6dError


def run(factories: Sequence[Callable[[], Node]], args: Sequence[str] | None = None) -> int:
    """Spin the nodes that the factories make; the exit status is 1 when one refuses to start."""
    share_the_cores()
    allow_openexr()
    # rclpy's own handler ends the spinning. Python's would besides raise a KeyboardInterrupt at any
    # later line, and a second one: a terminal and `ros2 launch` may both pass a Ctrl-C on.
    signal.signal(signal.SIGINT, lambda *_: None)
    rclpy.init(args=None if args is None else list(args))
    log_bridge.install()
    nodes: list[Node] = []
    # One thread suffices: slow work has threads of its own (slow_calls.py, the hosts).
    executor = SingleThreadedExecutor()
    try:
        for factory in factories:
            nodes.append(factory())
            executor.add_node(nodes[-1])
        executor.spin()
    except Sam6dError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except Exception:
        # A signal takes the context from under whatever is being made of it.
        if rclpy.ok():
            raise
    finally:
        for node in nodes:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0
