"""A process around nodes: start rclpy, spin until told to stop, leave cleanly."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node

from sam6d_ros.apps.ros import log_bridge
from sam6d_ros.apps.threads import share_the_cores
from sam6d_ros.errors import Sam6dError

RCLError = rclpy_implementation.RCLError


def run(factories: Sequence[Callable[[], Node]], args: Sequence[str] | None = None) -> int:
    """Spin the nodes that the factories make; the exit status is 1 when one refuses to start."""
    share_the_cores()
    rclpy.init(args=None if args is None else list(args))
    log_bridge.install()
    nodes: list[Node] = []
    # One thread suffices: slow work has threads of its own (slow_calls.py, worker.py).
    executor = SingleThreadedExecutor()
    try:
        for factory in factories:
            nodes.append(factory())
            executor.add_node(nodes[-1])
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RCLError:
        # A signal between two looks of the executor takes the context from under its wait set.
        if rclpy.ok():
            raise
    except Sam6dError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    finally:
        # A terminal and `ros2 launch` may both pass a Ctrl-C on: the second must not break the end.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for node in nodes:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0
