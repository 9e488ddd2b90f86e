"""Base of the nodes around an engine: objects at run time, diagnostics, figures."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from rclpy.parameter import Parameter as RosParameter
from std_msgs.msg import Header

from sam6d_ros.apps.ros.node import lifecycle, spec
from sam6d_ros.apps.ros.node.engine_turn import EngineTurn
from sam6d_ros.apps.ros.node.lifecycle import ManagedNode
from sam6d_ros.apps.ros.node.parameters import Parameter
from sam6d_ros.apps.ros.node.spec import EngineBuilder
from sam6d_ros.apps.ros.node.status_outputs import StatusOutputs
from sam6d_ros.apps.ros.objects.file import ObjectsFile
from sam6d_ros.apps.ros.objects.services import ObjectServices, Waits
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import NotReady, ResourceExhausted, UnknownName
from sam6d_ros.pipeline import RunContext
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.host import Host
from sam6d_ros.runtime.objects import ObjectSet
from sam6d_ros.runtime.peers import UNSETTLED
from sam6d_ros.stages.accept import Acceptance
from sam6d_ros.stages.backends import NO_BACKEND

FRAME_TIMEOUT = Parameter(
    "frame_timeout_s",
    60.0,
    "time after which work on a frame ends, at the next object or batch, seconds; 0: never",
    read_only=False,
    limits=(0.0, 86400.0),
)
WITHOUT_STAGES = (*lifecycle.PARAMETERS, FRAME_TIMEOUT, *spec.OBJECT_PARAMETERS)
PARAMETERS = (*WITHOUT_STAGES, *spec.STAGE_PARAMETERS, *spec.REMOTE_PARAMETERS)

MAX_LISTED, MAX_NAME = 8, 200  # names of objects in a message, and their characters

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
            self._perform,
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

    @property
    def inactive(self) -> str:
        """Error text for a request to this node while it is not active."""
        loads = self.lifecycle in UNSETTLED
        remedy = "wait for ~/ready" if loads else "activate it first (ros2 lifecycle set)"
        return f"{self.status.name} is {self.lifecycle}: {remedy}"

    def names_of(self, class_ids: Sequence[str]) -> list[str] | None:
        """Return the objects that a request names; None for all.

        Raises:
            NotReady: the node is not active.
            UnknownName: an object is not registered.
        """
        if not self.active:
            raise NotReady(self.inactive)
        names = list(dict.fromkeys(class_ids))
        if unknown := [name for name in names if name not in self.objects]:
            listed = ", ".join(f"{name[:MAX_NAME]!r}" for name in unknown[:MAX_LISTED])
            raise UnknownName(
                f"no object is named {listed}; {self.status.name} looks "
                f"for {', '.join(self.objects) or 'none'}. Add it to the objects file or by "
                "~/add_object"
            )
        return names or None

    def published(self, header: Header, found: Mapping[str, float] | None = None) -> None:
        """Record that the result of the image with this header was published.

        Args:
            found: score of each instance by its id, if the result is of all objects.
            header: of the image.
        """
        self._status_outputs.published(header, found)

    # --- for subclasses, called in the compute thread

    def pipeline_config(self) -> PipelineConfig:
        """The settings of the stages; a node without stages has no parameters for them."""
        return spec.config_of(self)

    def acceptance(self, engine: Engine) -> Acceptance:
        """Return the engine's limits with the parameters of this moment."""
        return replace(engine.acceptance, max_instances=self.get_parameter("max_instances").value)

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
        method = "" if self.backend == NO_BACKEND else f"backend {self.backend}, "
        self.get_logger().info(f"loaded: {method}objects: {names}")

    def validate_changes(self, changes: Sequence[RosParameter]) -> None:
        """Refuse an objects file with anything unusable in it."""
        self.objects_file.check(changes)

    def follow_changes(self, changes: Sequence[RosParameter]) -> None:
        """Register the objects of another file."""
        self.objects_file.follow(changes)

    def _build(self) -> Engine:
        file = self.objects_file.take()
        wanted = spec.spec_of(self, self._role, self.pipeline_config(), file)
        engine = spec.engine_of(self, wanted, self._build_engine)
        self._turn.take(self.status.name, engine)
        return engine

    def _perform(self, engine: Engine, work: Work, ctx: RunContext) -> str:
        """Process one frame; its deadline is looked at between pieces of work."""
        timeout_s = self.get_parameter(FRAME_TIMEOUT.name).value
        deadline = time.monotonic() + timeout_s

        def checkpoint() -> None:
            ctx.checkpoint()
            if timeout_s and time.monotonic() > deadline:
                raise ResourceExhausted(
                    f"one frame took more than {timeout_s:g} s (frame_timeout_s) and is dropped; "
                    "register fewer objects, send fewer masks (max_masks), or raise the limit"
                )

        return work(engine, replace(ctx, checkpoint=checkpoint))

    def _take_objects(self, objects: ObjectSet) -> None:
        if not self.host.loaded:
            return self.released()
        self.objects_changed()
        self._object_services.publish(objects)

    def _shares_engine(self) -> bool:
        """Whether another node of this process has the same engine."""
        return self._turn.is_shared(self.status.name)

    def _refusal(self) -> str:
        """Return the reason why there is no engine in this state of the node, or empty."""
        if self.host.loaded and not self.slow_calls.stopping:
            return ""
        return f"{self.status.name} is {self.lifecycle}: configure it first"
