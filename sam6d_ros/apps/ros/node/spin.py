"""A process around nodes: start rclpy, spin until interrupted, shut down."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence

import rclpy
from rclpy._rclpy_pybind11 import RCLError
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from sam6d_ros.apps.compiled_loops import keep_compiled_loops
from sam6d_ros.apps.environment import allow_openexr
from sam6d_ros.apps.ros.node import ros_log
from sam6d_ros.apps.ros.node.guard import spin_guarded
from sam6d_ros.apps.ros.node.lifecycle import ManagedNode
from sam6d_ros.apps.ros.node.parent import end_with_parent
from sam6d_ros.apps.threads import share_the_cores
from sam6d_ros.errors import InvalidConfig, Sam6dError


def run(factories: Sequence[Callable[[], Node]], args: Sequence[str] | None = None) -> int:
    """Spin the nodes that the factories make; the exit status is 1 when one refuses to start."""
    nodes: list[Node] = []
    try:
        if not _start(args):
            return 0
        # One thread suffices: slow work has threads of its own (slow_calls.py, the hosts).
        executor = SingleThreadedExecutor()
        for factory in factories:
            nodes.append(_created(factory))
            executor.add_node(nodes[-1])
        spin_guarded(executor, nodes, rclpy.ok)
    except Sam6dError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except Exception:
        # A signal takes the context from under whatever is being made of it.
        if rclpy.ok():
            raise
    finally:
        for node in nodes:  # all at once: each waits for its work in progress
            if isinstance(node, ManagedNode):
                node.stop()
        for node in nodes:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _unraisable(about: sys.UnraisableHookArgs) -> None:
    """Report an exception in a ``__del__``, but of what a signal has left half made."""
    if rclpy.ok():
        sys.__unraisablehook__(about)


def _created(factory: Callable[[], Node]) -> Node:
    """Create a node.

    Returns:
        The node.

    Raises:
        InvalidConfig: ROS 2 refuses it.
        RCLError: a signal has ended the context.
    """
    try:
        return factory()
    except RCLError as error:
        if not rclpy.ok():
            raise
        remedy = "Check the names and remappings behind --ros-args"
        if "security" in str(error).lower():
            remedy = (
                "Check the enclave in ROS_SECURITY_KEYSTORE; with a middleware built without "
                "security, unset ROS_SECURITY_ENABLE and use a network of the robot alone"
            )
        raise InvalidConfig(f"ROS 2 cannot create the node: {error}. {remedy}") from error


def _start(args: Sequence[str] | None) -> bool:
    """Start rclpy.

    Returns:
        Whether nodes are to be made: a Ctrl-C may have come before its handler.

    Raises:
        InvalidConfig: ROS arguments are none, or there is no home folder.
    """
    share_the_cores()
    keep_compiled_loops()
    allow_openexr()
    sys.unraisablehook = _unraisable
    interrupts: list[int] = []
    # rclpy's own handler ends the spinning. Python's would besides raise a KeyboardInterrupt at any
    # later line, and a second one: a terminal and `ros2 launch` may both pass a Ctrl-C on.
    signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
    try:
        rclpy.init(args=None if args is None else list(args))
    except RCLError as error:
        raise InvalidConfig(
            f"ROS 2 cannot be started: {error}. Check the arguments behind --ros-args, set HOME or "
            "ROS_LOG_DIR to a folder of this user, and with ROS_SECURITY_ENABLE make the keystore"
        ) from error
    if interrupts:
        return False
    end_with_parent()
    ros_log.install()
    return True
