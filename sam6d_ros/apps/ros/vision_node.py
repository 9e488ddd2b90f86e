"""What the vision nodes have in common: a lifecycle around an engine and its worker thread."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import wraps
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import InvalidHandle
from rclpy.lifecycle import LifecycleNodeMixin, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from std_msgs.msg import Bool, Header

from sam6d_ros.apps.ros import engines, reports
from sam6d_ros.apps.ros.conversions import stamp_ns_of
from sam6d_ros.apps.ros.parameters import Parameter, declare
from sam6d_ros.apps.ros.status import NodeStatus, State
from sam6d_ros.apps.ros.worker import Interrupted, Worker
from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import Sam6dError
from sam6d_ros.msg import NodeStats
from sam6d_ros.pipeline import Trace
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.memory import free_memory

Item = TypeVar("Item")
Result = TypeVar("Result")
Given = ParamSpec("Given")
Transition = Callable[..., TransitionCallbackReturn]

DIAGNOSTICS_PERIOD_S = 1.0
# Longest wait for the frame in work when the node is shut down.
STOP_TIMEOUT_S = 2.0
LATCHED = QoSProfile(
    depth=1,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
    reliability=ReliabilityPolicy.RELIABLE,
)
# Results are small and wanted; the queue covers a reader that is briefly busy.
RESULTS = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)

PARAMETERS = (
    Parameter(
        "autostart",
        True,
        "configure and activate at once; false: wait for a lifecycle manager",
    ),
    *engines.PARAMETERS,
)


class NotConfigured(Sam6dError):
    """The node has no engine in its present state."""


def reported(
    transition: Callable[Concatenate[Any, Given], Result],
) -> Callable[Concatenate[Any, Given], Result]:
    """Log what a transition raises; rclpy turns it into ERROR without a word."""

    @wraps(transition)
    def run(self: VisionNode[Any], *args: Given.args, **kwargs: Given.kwargs) -> Result:
        try:
            return transition(self, *args, **kwargs)
        except Exception as error:
            self.status.failed(error)
            raise

    return run


class VisionNode(LifecycleNodeMixin, Node, ABC, Generic[Item]):
    """Loads an engine when configured and runs it on the newest item while active.

    A subclass creates publishers (``create_lifecycle_publisher``) and services (in
    ``service_group``) in its constructor, subscriptions in ``open_inputs``; it hands items to
    ``submit`` and implements ``process``, which runs in the worker thread, as do
    ``objects_changed`` and every job of ``in_worker``. The engine is touched nowhere else.
    """

    def __init__(
        self,
        name: str,
        role: str,
        parameters: Sequence[Parameter],
        build_engine: engines.EngineBuilder,
        cli_args: Sequence[str] | None = None,
    ) -> None:
        Node.__init__(self, name, cli_args=list(cli_args or ()))
        # Reentrant: a transition may load for minutes, and other services shall answer meanwhile.
        self.service_group = ReentrantCallbackGroup()
        LifecycleNodeMixin.__init__(self, callback_group=self.service_group)
        declare(self, parameters)
        self._role, self._build_engine = role, build_engine
        self._engine: Engine | None = None
        self.active = False
        self.status = NodeStatus(self.get_fully_qualified_name(), self.get_logger())
        self.status.state = State.UNCONFIGURED
        self._ready = self.create_publisher(Bool, "~/ready", LATCHED)
        self._ready.publish(Bool(data=False))
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", RESULTS)
        self._stats = self.create_publisher(NodeStats, "~/stats", RESULTS)
        # Not the node's clock: a paused simulation must not silence the diagnostics.
        self._timer = self.create_timer(
            DIAGNOSTICS_PERIOD_S,
            self._publish_status,
            callback_group=self.service_group,
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )
        self._worker: Worker[Item] = Worker(name, self._process_safely)
        self._wake = self.create_guard_condition(_nothing, callback_group=self.service_group)
        self._start = self.create_guard_condition(
            self._autostart, callback_group=MutuallyExclusiveCallbackGroup()
        )
        if self.get_parameter("autostart").value:
            self._start.trigger()  # runs when the executor spins

    # --- for subclasses

    @property
    def engine(self) -> Engine:
        """The engine with its objects, warm.

        Raises:
            NotConfigured: there is none in this state.
        """
        if self._engine is None:
            raise NotConfigured(f"{self.status.name} is {self.lifecycle}: configure it first")
        return self._engine

    @property
    def lifecycle(self) -> str:
        """The lifecycle state: unconfigured, configuring, inactive, activating, active, …"""
        return str(self._state_machine.current_state[1])

    def pipeline_config(self) -> PipelineConfig:
        """The settings of the stages; a node without stages has no parameters for them."""
        return engines.config_of(self)

    def objects_changed(self) -> None:
        """Called in the worker when the engine is loaded, and when its objects have changed."""

    def released(self) -> None:
        """Called in the worker when the engine is gone: forget all that was made of objects."""

    @abstractmethod
    def open_inputs(self) -> None:
        """Create the subscriptions."""

    @abstractmethod
    def close_inputs(self) -> None:
        """Destroy the subscriptions and forget the messages that wait."""

    @abstractmethod
    def process(self, item: Item, trace: Trace) -> str:
        """Convert, run, publish; return why the result is empty, or nothing."""

    def submit(self, item: Item) -> None:
        """Leave the newest item for the worker."""
        self._worker.submit(item)

    def published(self, header: Header) -> None:
        """Note that the result of the image with this header has just been published."""
        now_ns = self.get_clock().now().nanoseconds
        if now_ns > 0:  # a simulation's clock may not run yet
            self.status.stats.publish(1e-9 * (now_ns - stamp_ns_of(header)))

    def in_worker(self, job: Callable[[], Result]) -> Future:
        """Have a job done in the worker before its next item; await it in an ``async`` callback.

        Raises (when awaited):
            Interrupted: the node was deactivated, cleaned up or shut down first.
            whatever the job raises.
        """
        answer = Future(executor=self.executor)

        def pass_on(done: Any) -> None:
            if error := done.exception():
                answer.set_exception(error)
            else:
                answer.set_result(done.result())
            # The executor looks at waiting coroutines only when something wakes it.
            with suppress(InvalidHandle):
                self._wake.trigger()

        self._worker.call(job).add_done_callback(pass_on)
        return answer

    # --- transitions

    @reported
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the objects and the stages and warm up; stay unconfigured when that fails."""
        self.status.state, self.status.last_error = State.LOADING, ""
        try:
            self._worker.call(self._load).result()
        except Interrupted:
            return TransitionCallbackReturn.FAILURE
        except Exception as error:  # the boundary: see status.ERROR_TABLE
            self.status.failed(error, loading=True)
            self._worker.call(self._release)
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
        """Free the engine, after the frame or job in work."""
        self._worker.interrupt("the node was cleaned up")
        self._worker.call(self._release).result()
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
        self._worker.call(self._release).result()
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

    # --- in the worker

    def _load(self) -> None:
        self._engine = self._build_engine(
            self.pipeline_config(),
            engines.objects_file_of(self),
            engines.cache_dir_of(self),
            self._role,
        )
        self.objects_changed()
        self.status.backend = engines.backend_of(self._engine)
        self.status.device = engines.device_of(self._engine)
        names = ", ".join(self._engine.objects)
        self.get_logger().info(f"loaded: backend {self.status.backend}, objects: {names}")

    def _release(self) -> None:
        self._engine = None
        self.released()
        free_memory()

    def _process_safely(self, item: Item) -> None:
        trace = Trace()
        self.status.working = True
        try:
            with trace.timed("total"):
                reason = self.process(item, trace)
            if self.active:
                self.status.processed(trace.timings_s, reason)
        except Exception as error:  # the boundary: see status.ERROR_TABLE
            if self.active and not self._worker.stopping and self.context.ok():
                self.status.failed(error)
        finally:
            self.status.working = False

    # --- always

    def _publish_status(self) -> None:
        row = reports.diagnostic_status(self.status, self._worker.dropped, self.lifecycle)
        header = Header(stamp=self.get_clock().now().to_msg())
        self._diagnostics.publish(DiagnosticArray(header=header, status=[row]))
        self._stats.publish(reports.node_stats(self.status, header, self._worker.dropped))

    def stop(self) -> None:
        """Have the worker end, and every callback that waits for it."""
        self._worker.stop()

    def destroy_node(self) -> None:
        """Stop the worker, then the node."""
        self.stop()
        self._worker.join(STOP_TIMEOUT_S)
        super().destroy_node()


def _nothing() -> None:
    """What the waking guard condition does beside waking."""
