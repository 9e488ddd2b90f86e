"""What the segmentation node and the pose node have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Bool

from sam6d_ros.apps.ros import engines
from sam6d_ros.apps.ros.parameters import Parameter, declare
from sam6d_ros.apps.ros.status import NodeStatus, State
from sam6d_ros.apps.ros.worker import Worker
from sam6d_ros.pipeline import Trace

Item = TypeVar("Item")

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


class VisionNode(Node, ABC, Generic[Item]):
    """Loads an engine in the background, says when it is ready, runs it on the newest item.

    Subclasses subscribe in their constructor, hand items to ``submit`` and implement ``process``.
    ``configure`` loads and ``activate`` starts, so that a lifecycle node can call them apart.
    """

    def __init__(
        self,
        name: str,
        role: str,
        parameters: Sequence[Parameter],
        build_engine: engines.EngineBuilder,
        cli_args: Sequence[str] | None = None,
    ) -> None:
        super().__init__(name, cli_args=list(cli_args or ()))
        declare(self, parameters)
        self._role, self._build_engine = role, build_engine
        self.status = NodeStatus(self.get_fully_qualified_name(), self.get_logger())
        self._ready = self.create_publisher(Bool, "~/ready", LATCHED)
        self._ready.publish(Bool(data=False))
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", RESULTS)
        # Not the node's clock: a paused simulation must not silence the diagnostics.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self.create_timer(DIAGNOSTICS_PERIOD_S, self._publish_status, clock=steady)
        self._worker: Worker[Item] = Worker(name, self.configure, self._process_safely)

    def activate(self) -> None:
        """Start the worker; its first job is ``configure``."""
        self._worker.start()

    def configure(self) -> bool:
        """Load the objects and the stages and warm up; False, with the reason shown, if not."""
        try:
            self.engine = self._build_engine(
                engines.config_of(self),
                engines.objects_file_of(self),
                engines.cache_dir_of(self),
                self._role,
            )
            self.configured()
        except Exception as error:  # the boundary: see status.ERROR_TABLE
            self.status.failed(error, loading=True)
            return False
        self.status.state = State.RUNNING
        self.status.backend = engines.backend_of(self.engine.config)
        names = ", ".join(self.engine.objects)
        self.get_logger().info(f"ready: backend {self.status.backend}, objects: {names}")
        self._ready.publish(Bool(data=True))
        return True

    def configured(self) -> None:
        """Called once when the engine is there."""

    @abstractmethod
    def process(self, item: Item, trace: Trace) -> str:
        """Convert, run, publish; return why the result is empty, or nothing."""

    def submit(self, item: Item) -> None:
        """Leave the newest item for the worker."""
        self._worker.submit(item)

    def _process_safely(self, item: Item) -> None:
        trace = Trace()
        self.status.working = True
        try:
            with trace.timed("total"):
                reason = self.process(item, trace)
            self.status.processed(trace.timings_s, reason)
        except Exception as error:  # the boundary: see status.ERROR_TABLE
            if not self._worker.stopping and self.context.ok():
                self.status.failed(error)
        finally:
            self.status.working = False

    def _publish_status(self) -> None:
        message = DiagnosticArray(status=[self.status.message(self._worker.dropped)])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    def destroy_node(self) -> None:
        """Stop the worker, then the node."""
        self._worker.stop(STOP_TIMEOUT_S)
        super().destroy_node()
