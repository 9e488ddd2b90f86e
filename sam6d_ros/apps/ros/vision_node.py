"""Base of the nodes around an engine: objects at run time, diagnostics, figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rclpy.parameter import Parameter as RosParameter
from std_msgs.msg import Header

from sam6d_ros.apps.ros import engines
from sam6d_ros.apps.ros.engine_turn import EngineTurn
from sam6d_ros.apps.ros.engines import EngineBuilder
from sam6d_ros.apps.ros.managed_node import AUTOSTART, ManagedNode
from sam6d_ros.apps.ros.object_services import ObjectServices, Waits
from sam6d_ros.apps.ros.objects_file import ObjectsFile
from sam6d_ros.apps.ros.parameters import Parameter
from sam6d_ros.apps.ros.status_outputs import StatusOutputs
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.config import PipelineConfig
from sam6d_ros.pipeline import RunContext
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.host import Host
from sam6d_ros.runtime.objects import ObjectSet

WITHOUT_STAGES = (AUTOSTART, *engines.OBJECT_PARAMETERS)
PARAMETERS = (*WITHOUT_STAGES, *engines.STAGE_PARAMETERS)

# Work on one item, in the compute thread → why its result is empty, or nothing.
Work = Callable[[Engine, RunContext], str]


class VisionNode(ManagedNode):
    """Node that loads an engine when configured and works with it while active.

    A callback offers its work to the host, which does the newest, or submits a request. Both run
    in the compute thread, as do ``objects_changed`` and ``released``. The engine is touched
    nowhere else.

    Args:
        name: of the node.
        role: of its engine.
        parameters: its table.
        build_engine: makes the engine.
        cli_args: ROS arguments of this node alone.
        turn: held by the compute thread while it works; the nodes of one process share it.
    """

    host: Host[Work]
    # Whether to load what another node lists on ~/follow_objects.
    follows_objects = False

    def __init__(
        self,
        name: str,
        role: str,
        parameters: Sequence[Parameter],
        build_engine: EngineBuilder,
        cli_args: Sequence[str] | None = None,
        turn: EngineTurn | None = None,
    ) -> None:
        super().__init__(name, parameters, cli_args)
        self._role, self._build_engine, self._turn = role, build_engine, turn or EngineTurn()
        self.host = Host(
            self._build,
            _perform,
            self.status,
            name=self.status.name,
            on_objects=self._take_objects,
            turn=self._turn,
        )
        waits = Waits(self.service_group, self.awaitable, self.slow_calls.start, self._refusal)
        self._object_services = ObjectServices(
            self, self.host, waits, follow=self.follows_objects, shared=self._shares_engine
        )
        self.objects_file = ObjectsFile(self, self.host, lambda: not self._refusal())
        self._status_outputs = StatusOutputs(self)

    @property
    def objects(self) -> Mapping[str, ObjectModel]:
        """Registered objects by name; none without an engine."""
        return self.host.objects.models

    @property
    def backend(self) -> str:
        """Backend of the engine; empty without one."""
        return self.host.backend

    def published(self, header: Header) -> None:
        """Note that the result of the image with this header has just been published."""
        self._status_outputs.published(header)

    # --- for subclasses, called in the compute thread

    def pipeline_config(self) -> PipelineConfig:
        """The settings of the stages; a node without stages has no parameters for them."""
        return engines.config_of(self)

    def objects_changed(self) -> None:
        """Called when the engine is loaded, and when its objects have changed."""

    def released(self) -> None:
        """Called when the engine is gone: forget all that was made of objects."""

    # --- life of the engine

    def load(self) -> None:
        """Load the objects and the stages, and warm up."""
        self.host.load().result()
        self._object_services.catch_up()
        names = ", ".join(self.objects)
        self.get_logger().info(f"loaded: backend {self.backend}, objects: {names}")

    def validate_changes(self, changes: Sequence[RosParameter]) -> None:
        """Refuse an objects file with anything unusable in it."""
        self.objects_file.check(changes)

    def follow_changes(self, changes: Sequence[RosParameter]) -> None:
        """Register the objects of another file."""
        self.objects_file.follow(changes)

    def _build(self) -> Engine:
        file = self.objects_file.take()
        engine = self._build_engine(engines.spec_of(self, self._role, self.pipeline_config(), file))
        self._turn.take(self.status.name, engine)
        return engine

    def _take_objects(self, objects: ObjectSet) -> None:
        if not self.host.loaded:
            return self.released()
        self.objects_changed()
        self._object_services.publish(objects)

    def _shares_engine(self) -> bool:
        """Whether another node of this process has the same engine."""
        return self._turn.is_shared(self.status.name)

    def _refusal(self) -> str:
        """Why there is no engine in this state of the node, or nothing."""
        if self.host.loaded and not self.slow_calls.stopping:
            return ""
        return f"{self.status.name} is {self.lifecycle}: configure it first"


def _perform(engine: Engine, work: Work, ctx: RunContext) -> str:
    return work(engine, ctx)
