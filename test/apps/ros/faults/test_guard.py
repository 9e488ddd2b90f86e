"""Errors that rclpy raises out of a callback: the node reports them and goes on."""

from collections import deque

import pytest
from builtin_interfaces.msg import Time
from rclpy.executors import SingleThreadedExecutor
from rosgraph_msgs.msg import Clock

from sam6d_ros.apps.ros.node import guard
from sam6d_ros.apps.ros.node.guard import spin_guarded


def test_a_clock_with_a_negative_time_is_survived(make_world):
    """rclpy itself raises on it, in a callback of every node."""
    world = make_world("segmentation_node", "pose_node", use_sim_time=True)
    world.tracebacks = "allowed"
    for seconds in (-1, -(2**31)):
        message = Clock(clock=Time(sec=seconds))
        for node in world.nodes:
            world.wait_for_problem(
                node, "must not be negative", every=lambda m=message: world.publish("/clock", m)
            )
    world.poses_come()


class Failing(SingleThreadedExecutor):
    """Executor whose spinning raises what it is given, then ends."""

    def __init__(self, errors, **options):
        super().__init__(**options)
        self.errors = deque(errors)

    def spin(self):
        if self.errors:
            raise self.errors.popleft()


def test_a_process_whose_callbacks_fail_all_the_time_ends(ros):
    failing = Failing([ValueError(str(n)) for n in range(guard.MOST_ERRORS)], context=ros.context)
    with pytest.raises(ValueError, match=str(guard.MOST_ERRORS - 1)):
        spin_guarded(failing, [], lambda: True, clock=lambda: 0.0)
    seconds = iter(range(1000))
    failing.errors += [ValueError() for _ in range(guard.MOST_ERRORS)]
    spin_guarded(failing, [], lambda: True, clock=lambda: float(next(seconds)))


def test_an_error_of_a_node_without_a_status_ends_the_process(ros):
    failing = Failing([ValueError("first")], context=ros.context)
    with pytest.raises(ValueError, match="first"):
        spin_guarded(failing, [ros.node("plain")], lambda: True)
