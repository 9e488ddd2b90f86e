"""A managed (lifecycle) node that loads slowly and works in a thread of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNodeMixin, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter
from rclpy.task import Future
from std_msgs.msg import Bool

from sam6d_ros.apps.ros.node import topics
from sam6d_ros.apps.ros.node.qos import LATCHED
from sam6d_ros.apps.ros.parameters import Parameter, declare
from sam6d_ros.apps.ros.slow_calls import SlowCalls
from sam6d_ros.apps.ros.status import NodeStatus, State
from sam6d_ros.errors import NotReady
from sam6d_ros.runtime.worker import Worker

Item = TypeVar("Item")
Result = TypeVar("Result")
Given = ParamSpec("Given")

AUTOSTART = Parameter(
    "autostart", True, "configure and activate at once; false: wait for a lifecycle manager"
)
# A transition may load for minutes, and so may a parameter that names what to load.
SLOW_SERVICES = ("change_state", "set_parameters", "set_parameters_atomically")


def reported(
    transition: Callable[Concatenate[Any, Given], Result],
) -> Callable[Concatenate[Any, Given], Result]:
    """Log what a transition raises; rclpy turns it into ERROR without a word."""

    @wraps(transition)
    def run(self: ManagedNode[Any], *args: Given.args, **kwargs: Given.kwargs) -> Result:
        try:
            return transition(self, *args, **kwargs)
        except Exception as error:
            self.status.failed(error)
            raise

    return run


class ManagedNode(LifecycleNodeMixin, Node, ABC, Generic[Item]):
    """Loads when configured, works while active; stays awake meanwhile.

    A subclass creates publishers (``create_lifecycle_publisher``) and services (in
    ``service_group``) in its constructor, subscriptions in ``open_inputs``, and hands items to
    ``submit``. ``load``, ``release``, ``work`` and every job of ``in_worker`` run in the worker
    thread, one after another. Transitions run in threads of their own.
    """

    def __init__(
        self, name: str, parameters: Sequence[Parameter], cli_args: Sequence[str] | None = None
    ) -> None:
        Node.__init__(self, name, cli_args=list(cli_args or ()))
        # Reentrant: a callback that waits in it keeps nobody else waiting.
        self.service_group = ReentrantCallbackGroup()
        LifecycleNodeMixin.__init__(self, callback_group=self.service_group)
        declare(self, parameters, self.validate_changes, self.follow_changes)
        self.active = False
        self.status = NodeStatus(self.get_fully_qualified_name(), self.get_logger())
        self.status.state = State.UNCONFIGURED
        self._ready = self.create_publisher(Bool, topics.READY, LATCHED)
        self._ready.publish(Bool(data=False))
        self._worker: Worker[Item] = Worker(name, self.work)
        self._slow_calls = SlowCalls(self, self.service_group)
        self._slow_calls.detach(SLOW_SERVICES)
        self._start = self.create_guard_condition(
            lambda: self._slow_calls.start(self._autostart), callback_group=self.service_group
        )
        if self.get_parameter(AUTOSTART.name).value:
            self._start.trigger()  # it runs when the executor spins

    # --- for subclasses

    @abstractmethod
    def load(self) -> None:
        """Make ready to work; what it raises is shown, and the node stays unconfigured."""

    @abstractmethod
    def release(self) -> None:
        """Free what ``load`` made, or what it had made when it failed."""

    @abstractmethod
    def open_inputs(self) -> None:
        """Create the subscriptions."""

    @abstractmethod
    def close_inputs(self) -> None:
        """Destroy the subscriptions and forget the messages that wait."""

    @abstractmethod
    def work(self, item: Item) -> None:
        """Work on one item; errors are its own to handle."""

    def validate_changes(self, changes: Sequence[RosParameter]) -> None:
        """Raise if parameters cannot take these values; change nothing.

        This and ``follow_changes`` run in a thread of their own and may wait for the worker.
        """

    def follow_changes(self, changes: Sequence[RosParameter]) -> None:
        """Put stored parameter values in force."""

    @property
    def lifecycle(self) -> str:
        """The lifecycle state: unconfigured, configuring, inactive, activating, active, …"""
        return str(self._state_machine.current_state[1])

    def submit(self, item: Item) -> None:
        """Leave the newest item for the worker."""
        self._worker.offer(item)

    def in_worker(self, job: Callable[[], Result]) -> Future:
        """Have a job done in the worker before its next item; await it in an ``async`` callback.

        Raises (when awaited):
            NotReady: the node was deactivated, cleaned up or shut down first.
            whatever the job raises.
        """
        return self._slow_calls.awaitable(self._worker.call(job))

    def do_in_worker(self, job: Callable[[], Result]) -> Result:
        """The same for a thread that may wait, which the executor's may not; raises the same."""
        return self._worker.call(job).result()

    # --- transitions

    @reported
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load; stay unconfigured when that fails."""
        self.status.state, self.status.last_error = State.LOADING, ""
        try:
            self._worker.call(self.load).result()
        except NotReady:
            return TransitionCallbackReturn.FAILURE
        except Exception as error:  # the boundary: see status.ERROR_TABLE
            self.status.failed(error, loading=True)
            self._worker.call(self.release)
            return TransitionCallbackReturn.FAILURE
        self.status.state = State.INACTIVE
        return super().on_configure(state)

    @reported
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Open the topics and start working."""
        outcome = super().on_activate(state)
        self.active = True
        self.status.stats.restart()
        self._worker.open()
        self.open_inputs()
        self.status.state, self.status.last_error = State.RUNNING, ""
        self._ready.publish(Bool(data=True))
        self.get_logger().info("ready")
        return outcome

    @reported
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close the topics; nothing is published any more."""
        self._silence("the node was deactivated")
        self.status.state = State.INACTIVE
        return super().on_deactivate(state)

    @reported
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free what was loaded, after the item or job in work."""
        self._worker.interrupt("the node was cleaned up")
        self._worker.call(self.release).result()
        self.status.state = State.UNCONFIGURED
        return super().on_cleanup(state)

    @reported
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """From every state: as deactivate and cleanup. The process stays until it is stopped."""
        return self._abandon(state, "the node was shut down")

    @reported
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After a failed transition: let go of everything; it can be configured again."""
        return self._abandon(state, "a transition of the node failed")

    def _abandon(self, state: LifecycleState, why: str) -> TransitionCallbackReturn:
        self._silence(why)
        LifecycleNodeMixin.on_deactivate(self, state)
        self._worker.call(self.release).result()
        self.status.state = State.UNCONFIGURED
        return TransitionCallbackReturn.SUCCESS

    def _silence(self, why: str) -> None:
        """Stop working and close the topics, if they are open."""
        self._ready.publish(Bool(data=False))
        self._worker.close()
        self._worker.interrupt(why)
        if self.active:
            self.active = False
            self.close_inputs()

    def _autostart(self) -> None:
        if self.trigger_configure() is TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    # --- end of the process

    def stop(self) -> None:
        """Have the worker end, and every callback that waits for it."""
        self._slow_calls.stop()
        self._worker.stop("the node is shutting down")

    def destroy_node(self) -> None:
        """Stop the worker, then the node."""
        self.stop()
        self._slow_calls.join(topics.STOP_TIMEOUT_S)
        self._worker.join(topics.STOP_TIMEOUT_S)
        super().destroy_node()
