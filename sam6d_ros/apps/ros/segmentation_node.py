"""``segmentation_node``: synchronised RGB-D → instance masks, 2D boxes, label image."""

from __future__ import annotations

from sam6d_ros.apps.interrupts import end_process
from sam6d_ros.apps.ros.node.missing_ros import exit_without_ros

if __name__ == "__main__":
    exit_without_ros("segmentation_node")  # before the imports that need ROS 2

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from sam6d_ros.apps.ros import (
    conversions,
    vision,
)
from sam6d_ros.apps.ros.camera import input as camera_input
from sam6d_ros.apps.ros.camera.input import CameraInput, CameraMessages
from sam6d_ros.apps.ros.node import spin, topics
from sam6d_ros.apps.ros.node.engine_turn import EngineTurn
from sam6d_ros.apps.ros.node.qos import RESULTS
from sam6d_ros.apps.ros.node.spec import EngineBuilder
from sam6d_ros.apps.ros.outputs.classes import ClassIds
from sam6d_ros.apps.ros.segmentation import (
    box_input,
)
from sam6d_ros.apps.ros.segmentation import (
    schedule as frame_schedule,
)
from sam6d_ros.apps.ros.segmentation import (
    service as on_demand_segment,
)
from sam6d_ros.apps.ros.segmentation.box_input import BoxInput
from sam6d_ros.apps.ros.segmentation.schedule import FrameSchedule
from sam6d_ros.apps.ros.segmentation.service import OnDemandSegmentation
from sam6d_ros.apps.ros.vision import VisionNode
from sam6d_ros.geometry.region import Region
from sam6d_ros.msg import InstanceMaskArray
from sam6d_ros.pipeline import RunContext
from sam6d_ros.runtime.build import build_engine
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.size_check import size_warning
from sam6d_ros.types import Detections, Scene

SIZE_WARNING_EVERY_S = 60.0
MORE_TIME = "raise the limit, register fewer objects, or search in the boxes of a detector"

PARAMETERS = (
    *vision.PARAMETERS,
    *camera_input.PARAMETERS,
    *box_input.PARAMETERS,
    *frame_schedule.PARAMETERS,
    *on_demand_segment.PARAMETERS,
)


class SegmentationNode(VisionNode):
    """The first half of the pipeline, on topics."""

    def __init__(
        self,
        build_engine: EngineBuilder = build_engine,
        cli_args: Sequence[str] | None = None,
        turn: EngineTurn | None = None,
    ) -> None:
        super().__init__(
            "segmentation_node", "segmentation", PARAMETERS, build_engine, cli_args, turn
        )
        self._masks = self.create_lifecycle_publisher(InstanceMaskArray, topics.MASKS, RESULTS)
        self._in_work = self.create_lifecycle_publisher(
            Header, topics.in_work(self.resolve_topic_name(topics.MASKS)), RESULTS
        )
        self._boxes = self.create_lifecycle_publisher(Detection2DArray, topics.DETECTIONS, RESULTS)
        self._labels = self.create_lifecycle_publisher(Image, topics.LABEL_IMAGE, RESULTS)
        self._instances = self.create_lifecycle_publisher(Image, topics.INSTANCE_IMAGE, RESULTS)
        self._class_ids = ClassIds(self)
        self._schedule = FrameSchedule(self, self.status)
        self._box_input = BoxInput(self, self._on_frame)
        self._on_demand = OnDemandSegmentation(self, self.segment)

    def objects_changed(self) -> None:
        """Number the classes."""
        self._class_ids.update(self.objects)

    def released(self) -> None:
        """Close the detector."""
        self._box_input.release()

    def open_inputs(self) -> None:
        """Subscribe to the camera and to the boxes."""
        boxes = self._box_input
        self.inputs.callback(CameraInput(self, self.status, boxes.add_frame, boxes.unfed).close)
        boxes.open()

    def inputs_closed(self) -> None:
        """Drop the frames."""
        self._box_input.forget()
        self._on_demand.forget()

    def _on_frame(self, camera: CameraMessages) -> None:
        """Store the frame for requests; segment it if the schedule takes it."""
        self._on_demand.add_frame(camera)
        if self._schedule.takes():
            everything = partial(self.segment, camera, None, None)
            self.host.offer(lambda engine, ctx: everything(engine, ctx).reason)

    def segment(
        self,
        camera: CameraMessages,
        names: Sequence[str] | None,
        region: Region | None,
        engine: Engine,
        ctx: RunContext,
    ) -> InstanceMaskArray:
        """Segment one frame and publish the result with the colour image's header.

        Only a result for all objects, everywhere (None), goes to the topics: their readers take
        what is missing there for gone.

        Returns:
            The published masks.
        """
        ctx = replace(ctx, on_warning=self._box_input.warn)
        scene = Scene(conversions.frame_from_messages(*camera))
        header, shape = camera.rgb.header, scene.frame.depth.shape
        with self.publishing(ctx):
            self._in_work.publish(header)
        boxes = self._box_input.boxes_of(scene.frame, ctx)
        limits = self.acceptance(engine)
        detections = engine.segment(scene, names, region, limits, ctx, boxes)
        self._warn_of_sizes(engine, scene)
        if detections.unsearched:
            text = conversions.unsearched_text(detections)
            self.status.log(logging.WARNING, f"{text}; {MORE_TIME}", "budget")
        masks = conversions.masks_from_detections(detections, header, shape)
        with self.publishing(ctx):
            if names is None and region is None:
                self._masks.publish(masks)
                self._boxes.publish(conversions.detection_2d_array(detections, header))
                self._publish_views(detections, header, shape)
            self.published(header)
        return masks

    def _build(self) -> Engine:
        self._box_input.load()
        return super()._build()

    def _publish_views(
        self, detections: Detections, header: Header, shape: tuple[int, int]
    ) -> None:
        """Publish label images if they have subscribers."""
        if self._labels.get_subscription_count():
            ids = self._class_ids.include(found.class_id for found in detections.items)
            self._labels.publish(conversions.label_image(detections, header, shape, ids))
        if self._instances.get_subscription_count():
            self._instances.publish(conversions.instance_image(detections, header, shape))

    def _warn_of_sizes(self, engine: Engine, scene: Scene) -> None:
        """Warn about objects whose size cannot belong to this scene: mostly a wrong unit."""
        for name, model in engine.objects.items():
            if warning := size_warning(model, scene):
                self.status.log(logging.WARNING, warning, f"size of {name}", SIZE_WARNING_EVERY_S)


def main(args: Sequence[str] | None = None, build_engine: EngineBuilder = build_engine) -> int:
    """Entry point of the executable."""
    return spin.run([lambda: SegmentationNode(build_engine)], args)


if __name__ == "__main__":
    end_process(main())
