"""Common parts of on-demand services and the action: requests, and waiting in coroutines."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from builtin_interfaces.msg import Duration
from rclpy.callback_groups import CallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import InvalidHandle
from rclpy.node import Node
from rclpy.task import Future
from sensor_msgs.msg import RegionOfInterest

from sam6d_ros.errors import InvalidConfig
from sam6d_ros.geometry.region import Region
from sam6d_ros.geometry.units import NS_PER_S
from sam6d_ros.runtime.request import Request

Result = TypeVar("Result")

NEVER = float("inf")
SHORTEST_ALARM_S = 1e-3
LONGEST_ALARM_S = 86_400.0
MOST_SECONDS = 2.0**31 - 1  # of a duration message


class Waiting:
    """Condition variable for coroutine callbacks of one node; other threads call ``notify``.

    One timer of the node, which runs only while a coroutine waits for a time, serves all of them.
    """

    def __init__(self, node: Node, group: CallbackGroup) -> None:
        self._node = node
        self._sleeping: dict[Future, float] = {}
        self._lock = threading.Lock()
        # An executor resumes coroutines only when something wakes it.
        self._wake = node.create_guard_condition(_nothing, callback_group=group)
        # Not the node's clock: simulated time may stand still.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._alarm = node.create_timer(LONGEST_ALARM_S, self._ring, group, steady)
        self._alarm.cancel()

    def notify(self, _: object = None) -> None:
        """Check all conditions again; from any thread."""
        with self._lock:
            sleeping, self._sleeping = self._sleeping, {}
        for future in sleeping:
            future.set_result(None)
        with suppress(InvalidHandle):  # the node is gone
            self._wake.trigger()

    async def until(
        self, condition: Callable[[], Result], deadline: float = NEVER, every_s: float = NEVER
    ) -> Result:
        """Return the value of a condition once it is true or the deadline has passed.

        Args:
            condition: evaluated after each ``notify``, and every ``every_s``.
            deadline: by ``time.monotonic``.
            every_s: longest time between two checks, seconds.
        """
        while True:
            future = Future(executor=self._node.executor)
            now = time.monotonic()
            with self._lock:
                self._sleeping[future] = min(deadline, now + every_s)
            if (value := condition()) or now >= deadline:
                with self._lock:
                    self._sleeping.pop(future, None)
                return value
            self._set_alarm()
            await future

    def _set_alarm(self) -> None:
        """Set the timer to the next deadline; in the executor's thread."""
        with self._lock:
            due = min(self._sleeping.values(), default=NEVER)
        if due < NEVER:
            left_s = min(max(due - time.monotonic(), SHORTEST_ALARM_S), LONGEST_ALARM_S)
            self._alarm.timer_period_ns = int(left_s * NS_PER_S)
            self._alarm.reset()

    def _ring(self) -> None:
        self._alarm.cancel()
        self.notify()


def region_from(message: RegionOfInterest) -> Region | None:
    """Return the region of a request; None for the whole image, which is a width of 0.

    Raises:
        InvalidInput: a width without a height.
    """
    if message.width == 0:
        return None
    return Region(message.x_offset, message.y_offset, message.width, message.height)


def seconds_from(message: Duration, when_zero: float) -> float:
    """Return the seconds of a duration.

    Raises:
        InvalidConfig: it is negative.
    """
    seconds = message.sec + 1e-9 * message.nanosec
    if seconds < 0:
        raise InvalidConfig(f"timeout is {seconds:g} s; it must not be negative")
    return seconds or when_zero


def duration_message(seconds: float) -> Duration:
    """A duration; of a nanosecond at least, because zero means something else."""
    whole, part = divmod(max(1, int(1e9 * min(seconds, MOST_SECONDS))), 10**9)
    return Duration(sec=whole, nanosec=part)


def client_request(deadline: float) -> Request[None]:
    """Return the request of a client; its parts do the work.

    Args:
        deadline: by ``time.monotonic``.
    """
    return Request(_no_work, deadline)


def _no_work(*_: object) -> None:
    """Do nothing."""


def _nothing() -> None:
    """Do no work: the guard condition of this callback only wakes the executor."""
