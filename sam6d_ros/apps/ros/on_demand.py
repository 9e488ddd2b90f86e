"""What the on-demand services and the action share: requests, and waiting in coroutines."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from builtin_interfaces.msg import Duration
from rclpy.callback_groups import CallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import InvalidHandle
from rclpy.node import Node
from rclpy.task import Future
from sensor_msgs.msg import RegionOfInterest

from sam6d_ros.apps.ros.vision_node import VisionNode
from sam6d_ros.errors import InvalidConfig, NotReady, UnknownName
from sam6d_ros.geometry.region import Region
from sam6d_ros.geometry.units import NS_PER_S
from sam6d_ros.runtime.request import Request

Result = TypeVar("Result")

NEVER = float("inf")
SHORTEST_ALARM_S = 1e-3
LONGEST_ALARM_S = 86_400.0


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
        """Let everybody look again; from any thread."""
        with self._lock:
            sleeping, self._sleeping = self._sleeping, {}
        for future in sleeping:
            future.set_result(None)
        with suppress(InvalidHandle):  # the node is gone
            self._wake.trigger()

    async def until(
        self, condition: Callable[[], Result], deadline: float = NEVER, every_s: float = NEVER
    ) -> Result:
        """The condition's value, once it is true or the deadline has passed.

        Args:
            condition: looked at after each ``notify``, and ``every_s`` for what nobody notifies of.
            deadline: by ``time.monotonic``.
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
        """Have the timer ring at the next deadline; in the executor's thread."""
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
    """The region of a request; None for the whole image, which is a width of 0.

    Raises:
        InvalidInput: a width without a height.
    """
    if message.width == 0:
        return None
    return Region(message.x_offset, message.y_offset, message.width, message.height)


def names_from(class_ids: Sequence[str], node: VisionNode) -> list[str] | None:
    """The objects of a request; None for all.

    Raises:
        NotReady: the node is not active.
        UnknownName: it does not look for one of them.
    """
    if not node.active:
        raise NotReady(inactive(node))
    names = list(dict.fromkeys(class_ids))
    if unknown := [name for name in names if name not in node.objects]:
        raise UnknownName(
            f"no object is named {', '.join(map(repr, unknown))}; {node.status.name} looks for "
            f"{', '.join(node.objects) or 'none'}. Add it to the objects file or by ~/add_object"
        )
    return names or None


def seconds_from(message: Duration, when_zero: float) -> float:
    """Seconds of a duration.

    Raises:
        InvalidConfig: it is negative.
    """
    seconds = message.sec + 1e-9 * message.nanosec
    if seconds < 0:
        raise InvalidConfig(f"timeout is {seconds:g} s; it must not be negative")
    return seconds or when_zero


def duration_message(seconds: float) -> Duration:
    """A duration; at least a nanosecond, because zero means something else."""
    whole, part = divmod(max(1, int(1e9 * seconds)), 10**9)
    return Duration(sec=whole, nanosec=part)


def client_request(deadline: float) -> Request[None]:
    """Return the request of a client; its parts do the work.

    Args:
        deadline: by ``time.monotonic``.
    """
    return Request(_no_work, deadline)


def inactive(node: VisionNode) -> str:
    """What to tell whoever asks a node that does not work now."""
    return f"{node.status.name} is {node.lifecycle}: activate it first (ros2 lifecycle set)"


def _no_work(*_: object) -> None:
    """Do nothing."""


def _nothing() -> None:
    """What the waking guard condition does beside waking."""
