"""Base of the nodes on 3D detections: objects, grasps and the robot's TF."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from vision_msgs.msg import Detection3DArray

from sam6d_ros.apps.ros import vision
from sam6d_ros.apps.ros.grasps import planning as grasp_planning
from sam6d_ros.apps.ros.node import base_frame, topics
from sam6d_ros.apps.ros.node.base_frame import BaseFrame
from sam6d_ros.apps.ros.node.parameters import Parameter
from sam6d_ros.apps.ros.node.qos import RESULTS
from sam6d_ros.apps.ros.node.spec import EngineBuilder
from sam6d_ros.apps.ros.vision import VisionNode
from sam6d_ros.config import PipelineConfig
from sam6d_ros.pipeline import RunContext

PARAMETERS = (
    *vision.WITHOUT_STAGES,
    *base_frame.PARAMETERS,
    *grasp_planning.PARAMETERS,
)


class DetectionsNode(VisionNode):
    """Works on ``~/detections`` of a pose or a tracking node, with objects but without stages."""

    follows_objects = True

    def __init__(
        self,
        name: str,
        parameters: Sequence[Parameter],
        build_engine: EngineBuilder,
        cli_args: Sequence[str] | None,
    ) -> None:
        super().__init__(name, "objects", parameters, build_engine, cli_args)
        self._base = BaseFrame(self, self.status)

    def pipeline_config(self) -> PipelineConfig:
        """There are no stages to set."""
        return PipelineConfig()

    def open_inputs(self) -> None:
        """Subscribe to detections and to TF."""
        self._base.open()
        self.inputs.callback(self._base.close)
        self.subscribe(Detection3DArray, topics.DETECTIONS, self._on_detections, RESULTS)

    def _on_detections(self, message: Detection3DArray) -> None:
        self.status.stats.receive()
        self.host.offer(lambda _, ctx: self.process(message, ctx))

    @abstractmethod
    def process(self, message: Detection3DArray, ctx: RunContext) -> str:
        """Publish what follows from detections; return why that is nothing, or nothing."""
