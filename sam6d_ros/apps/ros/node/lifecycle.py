"""Lifecycle node around a host: one short method per transition."""

from __future__ import annotations

import math
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from contextlib import ExitStack, contextmanager, suppress
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNodeMixin, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter
from rclpy.subscription import Subscription
from rclpy.task import Future
from std_msgs.msg import Bool

from sam6d_ros.apps.ros.node import stuck, topics
from sam6d_ros.apps.ros.node.await_thread import SlowCalls
from sam6d_ros.apps.ros.node.parameters import Parameter, declare
from sam6d_ros.apps.ros.node.qos import LATCHED
from sam6d_ros.apps.ros.node.ros_log import log
from sam6d_ros.errors import NotReady
from sam6d_ros.pipeline import RunContext
from sam6d_ros.runtime.error_table import Kind, handling_of
from sam6d_ros.runtime.resource_host import ResourceHost

Given = ParamSpec("Given")

AUTOSTART = Parameter(
    "autostart", True, "configure and activate at once; false: wait for a lifecycle manager"
)
PARAMETERS = (
    AUTOSTART,
    *stuck.PARAMETERS,
)
# There is nothing to let go of, or it is being done.
NOT_BREAKABLE = ("unconfigured", "finalized", "cleaningup", "shuttingdown", "errorprocessing")
# A transition may load for minutes, and so may a parameter that names what to load.
SLOW_SERVICES = ("change_state", "set_parameters", "set_parameters_atomically")


def reported(
    transition: Callable[Concatenate[Any, Given], TransitionCallbackReturn],
) -> Callable[Concatenate[Any, Given], TransitionCallbackReturn]:
    """Report an error of a transition; rclpy would turn it into ERROR without a log line.

    A transition of a node that a callback has broken ends in ERROR too, and so in ``on_error``.

    Returns:
        The transition with the report.
    """

    @wraps(transition)
    def run(
        self: ManagedNode, *args: Given.args, **kwargs: Given.kwargs
    ) -> TransitionCallbackReturn:
        try:
            outcome = transition(self, *args, **kwargs)
            return TransitionCallbackReturn.ERROR if self.leaving else outcome
        except BaseException as error:  # the boundary: a transition must end
            self.status.failed(error)
            return TransitionCallbackReturn.ERROR

    return run


class ManagedNode(LifecycleNodeMixin, Node, ABC):
    """Loads when configured, works while active; its executor never waits for either.

    A subclass sets ``host`` in its constructor, creates publishers (``create_lifecycle_publisher``)
    and services (in ``service_group``) there and subscriptions in ``open_inputs``, and leaves work
    to the host. Transitions run in threads of their own.

    Attributes:
        host: owner of what the node works with, and of the compute thread.
        status: record of the host's events.
        service_group: group of callbacks that await something; it is reentrant.
        inputs: undoes the steps of ``open_inputs``.
        broken: whether an error of a callback has ended the service, until the next configure.
        leaving: whether the node is on its way to ``on_error`` for that.
        peers_load: returns whether another node of the namespace is being configured.
    """

    host: ResourceHost[Any, Any]

    def __init__(
        self, name: str, parameters: Sequence[Parameter], cli_args: Sequence[str] | None = None
    ) -> None:
        Node.__init__(self, name, cli_args=list(cli_args or ()))
        self.service_group = ReentrantCallbackGroup()
        self.broken = self.leaving = False
        self.peers_load: Callable[[], bool] = lambda: False
        LifecycleNodeMixin.__init__(self, callback_group=self.service_group)
        declare(self, parameters, self.validate_changes, self.follow_changes)
        self.status = stuck.watched_status(self, self._log)
        self._ready = self.create_publisher(Bool, topics.READY, LATCHED)
        self._ready.publish(Bool(data=False))
        self.slow_calls = SlowCalls(self, self.service_group, self.status.log_error)
        self.inputs, self._publishing = ExitStack(), threading.Lock()
        self._stop_by = math.inf
        self.slow_calls.detach(SLOW_SERVICES)
        self._start = self.create_guard_condition(
            lambda: self.slow_calls.start(self._autostart), callback_group=self.service_group
        )
        if self.get_parameter(AUTOSTART.name).value:
            self._start.trigger()  # it runs when the executor spins

    def _log(self, level: int, text: str) -> None:
        """Log a line; what fails after the context has ended is of no interest."""
        if self.context.ok():
            log(self.get_logger(), level, text)

    # --- for subclasses

    @abstractmethod
    def load(self) -> None:
        """Make ready to work; an error is in the status, and the node stays unconfigured."""

    @abstractmethod
    def open_inputs(self) -> None:
        """Create the subscriptions, each with its undoing in ``inputs``; in the executor."""

    def inputs_closed(self) -> None:
        """Drop the messages that wait; called when ``inputs`` are closed."""

    def subscribe(self, *args: Any, **kwargs: Any) -> Subscription:
        """Create a subscription that ``inputs`` destroys; arguments of ``create_subscription``."""
        subscription = self.create_subscription(*args, **kwargs)
        self.inputs.callback(self.destroy_subscription, subscription)
        return subscription

    def validate_changes(self, changes: Sequence[RosParameter]) -> None:
        """Raise if parameters cannot take these values; change nothing.

        This and ``follow_changes`` run in a thread of their own and may wait for the host.
        """

    def follow_changes(self, changes: Sequence[RosParameter]) -> None:
        """Put stored parameter values in force."""

    @property
    def lifecycle(self) -> str:
        """Lifecycle state: unconfigured, configuring, inactive, activating, active, …"""
        return str(self._state_machine.current_state[1])

    @property
    def active(self) -> bool:
        """Whether requests and frames are processed."""
        return self.host.active

    @contextmanager
    def publishing(self, ctx: RunContext) -> Iterator[None]:
        """Publish the results of work inside; a deactivation waits for the end of it.

        Args:
            ctx: context of the work.

        Raises:
            NotReady: the node was deactivated since the work came.
            Cancelled, DeadlineExceeded: the request is over.
        """
        with self._publishing:
            ctx.checkpoint()
            yield

    def awaitable(self, outcome: futures.Future[Any]) -> Future:
        """Return an outcome of the host as a future that coroutine callbacks await."""
        return self.slow_calls.awaitable(outcome)

    # --- transitions

    @reported
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load; stay unconfigured when that fails."""
        self.broken = False
        try:
            self.load()
        except Exception:  # the host has recorded it
            return TransitionCallbackReturn.FAILURE
        return super().on_configure(state)

    @reported
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Open the topics and start working; stay inactive when that fails."""
        outcome = super().on_activate(state)
        try:
            self.host.activate()
            self.slow_calls.in_executor(self.open_inputs)
        except BaseException as error:  # the boundary: a defect must not lose the loaded engine
            self.status.failed(error)
            self._silence("the node could not be activated")
            super().on_deactivate(state)
            return TransitionCallbackReturn.FAILURE
        self._ready.publish(Bool(data=True))
        self.get_logger().info("ready")
        return outcome

    @reported
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close the topics; nothing is published any more."""
        self._silence("the node was deactivated")
        return super().on_deactivate(state)

    @reported
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free what was loaded, after the item or job in progress."""
        self.host.unload("the node was cleaned up").result()
        return super().on_cleanup(state)

    @reported
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """From every state: as deactivate and cleanup. The process stays until it is stopped."""
        return self._abandon(state, "the node was shut down")

    @reported
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After a failed transition: let go of everything; it can be configured again."""
        self.leaving = False
        return self._abandon(state, "a transition of the node failed")

    def _abandon(self, state: LifecycleState, why: str) -> TransitionCallbackReturn:
        self._silence(why)
        LifecycleNodeMixin.on_deactivate(self, state)
        self.host.unload(why).result()
        return TransitionCallbackReturn.SUCCESS

    def _silence(self, why: str) -> None:
        """Stop working and close the topics, if they are open."""
        self._ready.publish(Bool(data=False))
        self.host.deactivate(why)
        with self._publishing, suppress(NotReady):  # after what is published now
            self.slow_calls.in_executor(self.inputs.close)
        self.inputs_closed()

    # --- faults

    def callback_failed(self, error: BaseException) -> None:
        """Report an error of a callback of this node; a defect leads to ``on_error``."""
        self.status.failed(error)
        defect = handling_of(error).kind is Kind.DEFECT
        if defect and not self.broken and self.lifecycle not in NOT_BREAKABLE:
            self.broken = self.leaving = True
            self.slow_calls.start(self._leave)

    def _leave(self) -> None:
        """Begin the transition that ends in ERROR; one in progress ends there itself."""
        if self.lifecycle == "active":
            self.trigger_deactivate()
        elif self.lifecycle == "inactive":
            self.trigger_cleanup()

    def follow_stuck(self, problem: str) -> None:
        """Set the readiness by whether work is stuck; end the process if that is configured."""
        self._ready.publish(Bool(data=self.active and not problem))
        ends = self.lifecycle != "configuring" and self.get_parameter("end_when_stuck").value
        if problem and ends:
            self.get_logger().fatal(f"the process ends, to be started again: {problem}")
            os._exit(1)  # nothing can interrupt the compute thread

    def _autostart(self) -> None:
        if self.trigger_configure() is TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    # --- end of the process

    def stop(self) -> None:
        """End the host, and every callback that waits for it."""
        self._stop_by = min(self._stop_by, time.monotonic() + topics.STOP_TIMEOUT_S)
        self.slow_calls.stop()
        self.host.close()

    def destroy_node(self) -> None:
        """Stop the host, then the node; wait at most ``STOP_TIMEOUT_S`` from ``stop`` on."""
        self.stop()
        self.slow_calls.join(max(0.0, self._stop_by - time.monotonic()))
        self.host.close(max(0.0, self._stop_by - time.monotonic()))
        super().destroy_node()
