"""``detector_node``: colour images → boxes of a 2D detector, by any of its backends."""

from __future__ import annotations

from sam6d_ros.apps.interrupts import end_process
from sam6d_ros.apps.ros.node.missing_ros import exit_without_ros

if __name__ == "__main__":
    exit_without_ros("detector_node")  # before the imports that need ROS 2

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection2DArray

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.camera import topics as camera_topics
from sam6d_ros.apps.ros.camera.topics import CameraTopic
from sam6d_ros.apps.ros.node import lifecycle, spin, topics
from sam6d_ros.apps.ros.node.lifecycle import ManagedNode
from sam6d_ros.apps.ros.node.qos import RESULTS
from sam6d_ros.apps.ros.node.status_outputs import StatusOutputs
from sam6d_ros.apps.ros.segmentation import box_input
from sam6d_ros.apps.ros.segmentation import schedule as frame_schedule
from sam6d_ros.apps.ros.segmentation.box_input import DETECT, open_detector_of
from sam6d_ros.apps.ros.segmentation.schedule import RateLimit
from sam6d_ros.detectors.protocol import Detector
from sam6d_ros.detectors.table import detect_from
from sam6d_ros.errors import InvalidConfig
from sam6d_ros.pipeline import RunContext
from sam6d_ros.runtime.resource_host import ResourceHost

INPUT_TIMEOUT_S = 3.0  # without an image until the node warns
NO_BOX = "the detector reports nothing"

PARAMETERS = (
    *lifecycle.PARAMETERS,
    *box_input.DETECTOR_PARAMETERS,
    *(row for row in camera_topics.PARAMETERS if row.name.startswith("rgb.")),
    *(row for row in frame_schedule.PARAMETERS if row.name == "max_rate_hz"),
)

ColourMessage: TypeAlias = Image | CompressedImage


@dataclass(frozen=True)
class LoadedDetector:
    """Detector with what diagnostics show of it."""

    detector: Detector
    backend: str
    device: str


class DetectorHost(ResourceHost[LoadedDetector, ColourMessage]):
    """Host of a detector, which it closes."""

    def _given_up(self, resource: LoadedDetector) -> None:
        resource.detector.close()


class DetectorNode(ManagedNode):
    """A 2D detector on topics."""

    host: DetectorHost

    def __init__(self, cli_args: Sequence[str] | None = None) -> None:
        super().__init__("detector_node", PARAMETERS, cli_args)
        self.host = DetectorHost(self._open, self._detect, self.status, name=self.status.name)
        self._boxes = self.create_lifecycle_publisher(Detection2DArray, topics.DETECTIONS, RESULTS)
        self._outputs = StatusOutputs(self)
        self._limit = RateLimit()

    def load(self) -> None:
        """Open the detector and run it once."""
        self.host.load().result()
        self.get_logger().info(f"loaded: {self.get_parameter('detector').value}")

    def open_inputs(self) -> None:
        """Subscribe to the camera."""
        self._topic, self._arrived = CameraTopic(self, "rgb"), time.monotonic()
        self.subscribe(
            self._topic.message_type,
            self._topic.subscribed,
            self._on_image,
            self._topic.qos,
            event_callbacks=self._topic.event_callbacks,
        )
        timer = self.create_timer(1.0, self._watch, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.inputs.callback(self.status.input_problem, "")
        self.inputs.callback(self.destroy_timer, timer)

    def _watch(self) -> None:
        """Report why no image comes, if none does."""
        problem = self._topic.qos_problem()
        if not problem and time.monotonic() - self._arrived > INPUT_TIMEOUT_S:
            publishers = self._topic.publishers()
            remedy = "Is the camera running?" if publishers else "Remap it to the camera's topic."
            problem = (
                f"no message on ~/rgb ({self._topic.topic}, {publishers} publishers). "
                f"{self._topic.transport_hint()}{remedy}"
            )
        self.status.input_problem(problem)
        if problem:
            self.status.log(logging.WARNING, problem, key="inputs")

    def _on_image(self, message: ColourMessage) -> None:
        self._arrived = time.monotonic()
        self.status.stats.receive()
        if self._limit.take(self.get_parameter("max_rate_hz").value, self._arrived):
            self.host.offer(message)
        else:
            self.status.stats.skip()

    # --- in the compute thread

    def _open(self) -> LoadedDetector:
        source = self.get_parameter("detector").value
        if not source:
            raise InvalidConfig(
                "parameter detector is not set; give a model file or folder, or the address of a "
                "Triton server's model, for example -p detector:=http://127.0.0.1:8000/fasterrcnn"
            )
        detector = open_detector_of(self)
        backend = getattr(detector, "backend", source.partition(":")[0])
        return LoadedDetector(detector, backend, self.get_parameter("detector_device").value)

    def _detect(self, loaded: LoadedDetector, message: ColourMessage, ctx: RunContext) -> str:
        """Publish the boxes of one image with its header; return why there is none."""
        image = conversions.rgb_from_message(message)
        with ctx.stage(DETECT):
            threshold = self.get_parameter("detector_threshold").value
            boxes = detect_from(loaded.detector, image, threshold)
        with self.publishing(ctx):
            self._boxes.publish(conversions.detection_2d_array_from_boxes(boxes, message.header))
            self._outputs.published(message.header)
        return "" if len(boxes) else NO_BOX


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of the executable."""
    return spin.run([DetectorNode], args)


if __name__ == "__main__":
    end_process(main())
