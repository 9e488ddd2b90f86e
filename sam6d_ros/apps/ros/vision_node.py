"""What the vision nodes have in common: a managed node around an engine, and its diagnostics."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import TypeVar

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.parameter import Parameter as RosParameter
from std_msgs.msg import Header

from sam6d_ros.apps.ros import engines, reports
from sam6d_ros.apps.ros.conversions import stamp_ns_of
from sam6d_ros.apps.ros.managed_node import AUTOSTART, ManagedNode
from sam6d_ros.apps.ros.node import topics
from sam6d_ros.apps.ros.node.qos import RESULTS
from sam6d_ros.apps.ros.object_services import ObjectServices
from sam6d_ros.apps.ros.parameters import Parameter
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import Sam6dError
from sam6d_ros.msg import NodeStats
from sam6d_ros.pipeline import RunContext
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.memory import free_memory

Item = TypeVar("Item")
Result = TypeVar("Result")


WITHOUT_STAGES = (AUTOSTART, *engines.OBJECT_PARAMETERS)
PARAMETERS = (*WITHOUT_STAGES, *engines.STAGE_PARAMETERS)


class NotConfigured(Sam6dError):
    """The node has no engine in its present state."""


class VisionNode(ManagedNode[Item]):
    """Loads an engine when configured and runs it on the newest item while active.

    A subclass implements ``process``, which runs in the worker thread, as do ``objects_changed``
    and every job of ``in_worker``. The engine is touched nowhere else.

    Attributes:
        objects: what the node knows of, as of the last ``objects_changed``; an engine that is
            shared may have others already.
        objects_file: value of the parameter that is in force.
    """

    # Whether to load what another node lists on ~/follow_objects.
    follows_objects = False

    def __init__(
        self,
        name: str,
        role: str,
        parameters: Sequence[Parameter],
        build_engine: engines.EngineBuilder,
        cli_args: Sequence[str] | None = None,
    ) -> None:
        super().__init__(name, parameters, cli_args)
        self.role, self._build_engine = role, build_engine
        self._engine: Engine | None = None
        self.objects_file = ""
        self.objects: Mapping[str, ObjectModel] = MappingProxyType({})
        self._object_services = ObjectServices(self, self.follows_objects)
        self._diagnostics = self.create_publisher(DiagnosticArray, topics.DIAGNOSTICS, RESULTS)
        self._stats = self.create_publisher(NodeStats, topics.STATS, RESULTS)
        self._timer = self.create_timer(
            topics.DIAGNOSTICS_PERIOD_S,
            self._publish_status,
            # Not the node's clock: a paused simulation must not silence the diagnostics.
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    @property
    def configured(self) -> bool:
        """Whether there is an engine."""
        return self._engine is not None

    @property
    def engine(self) -> Engine:
        """The engine with its objects, warm.

        Raises:
            NotConfigured: there is none in this state.
        """
        if self._engine is None:
            raise NotConfigured(f"{self.status.name} is {self.lifecycle}: configure it first")
        return self._engine

    def published(self, header: Header) -> None:
        """Note that the result of the image with this header has just been published."""
        now_ns = self.get_clock().now().nanoseconds
        if now_ns > 0:  # a simulation's clock may not run yet
            self.status.stats.publish(1e-9 * (now_ns - stamp_ns_of(header)))

    # --- for subclasses, called in the worker

    @abstractmethod
    def process(self, item: Item, ctx: RunContext) -> str:
        """Convert, run, publish; return why the result is empty, or nothing."""

    def pipeline_config(self) -> PipelineConfig:
        """The settings of the stages; a node without stages has no parameters for them."""
        return engines.config_of(self)

    def objects_changed(self) -> None:
        """Called when the engine is loaded, and when its objects have changed."""

    def released(self) -> None:
        """Called when the engine is gone: forget all that was made of objects."""

    # --- what a managed node wants

    def load(self) -> None:
        """Load the objects and the stages, and warm up."""
        self.objects_file = self.get_parameter("objects_file").value
        self._engine = self._build_engine(
            self.pipeline_config(),
            engines.objects_file_from(self.objects_file),
            engines.cache_dir_of(self),
            self.role,
        )
        self._object_services.loaded(self._engine)
        self.take_objects()
        self.status.backend = self._engine.backend
        self.status.device = self._engine.device
        names = ", ".join(self._engine.objects)
        self.get_logger().info(f"loaded: backend {self.status.backend}, objects: {names}")

    def release(self) -> None:
        """Free the engine."""
        self._engine, self.objects = None, MappingProxyType({})
        self.released()
        free_memory()

    def take_objects(self) -> None:
        """Know of the engine's objects from now on."""
        self.objects = self.engine.objects
        self.objects_changed()

    def validate_changes(self, changes: Sequence[RosParameter]) -> None:
        """Refuse an objects file with anything unusable in it."""
        for change in changes:
            if change.name == "objects_file" and self.configured:
                self._object_services.check_file(change.value)

    def follow_changes(self, changes: Sequence[RosParameter]) -> None:
        """Register the objects of another file."""
        if self.configured and any(change.name == "objects_file" for change in changes):
            self._object_services.follow_file()

    def work(self, item: Item) -> None:
        """Process one item; what goes wrong is shown."""
        with suppress(Exception):  # the boundary: ``measured`` has told of it
            self.measured(lambda ctx: self.process(item, ctx), str)

    def measured(
        self, job: Callable[[RunContext], Result], reason: Callable[[Result], str]
    ) -> Result:
        """Do a job in the worker: timed, and shown in the diagnostics, as is what it raises.

        Args:
            reason: of a result: why it is empty, or nothing.
        """
        ctx = RunContext()
        self.status.working = True
        try:
            with ctx.timings.measure("total"):
                result = job(ctx)
            if self.active:
                self.status.processed(ctx.timings.seconds, reason(result))
            return result
        except Exception as error:  # see status.ERROR_TABLE
            if self.active and not self._worker.stopping and self.context.ok():
                self.status.failed(error)
            raise
        finally:
            self.status.working = False

    def _publish_status(self) -> None:
        row = reports.diagnostic_status(self.status, self._worker.dropped, self.lifecycle)
        header = Header(stamp=self.get_clock().now().to_msg())
        self._diagnostics.publish(DiagnosticArray(header=header, status=[row]))
        self._stats.publish(reports.node_stats(self.status, header, self._worker.dropped))
