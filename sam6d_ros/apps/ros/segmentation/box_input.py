"""Boxes in front of the search: from a detector of the node, or from topics, paired by stamp."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.camera.input import CameraMessages
from sam6d_ros.apps.ros.camera.watch import unpublished
from sam6d_ros.apps.ros.node import topics
from sam6d_ros.apps.ros.node.lifecycle import ManagedNode
from sam6d_ros.apps.ros.node.parameters import Parameter
from sam6d_ros.apps.ros.node.qos import RESULTS
from sam6d_ros.detectors.model import DEFAULT_THRESHOLD
from sam6d_ros.detectors.protocol import Detector
from sam6d_ros.detectors.table import detect_from, open_detector
from sam6d_ros.errors import InvalidConfig, InvalidInput, Sam6dError
from sam6d_ros.geometry.units import BYTES_PER_MB
from sam6d_ros.pipeline import RunContext
from sam6d_ros.runtime.frame_store import FrameStore
from sam6d_ros.types import Boxes, Frame

DETECT = "detect"  # stage of the timings
NONE, BOXES, LABELS = "none", "boxes", "labels"
# Topic, message type and conversion of each kind of input.
KINDS: dict[str, tuple[str, type, Callable[[Any], Boxes]]] = {
    BOXES: (topics.BOXES, Detection2DArray, conversions.boxes_from_detection_2d_array),
    LABELS: (topics.LABELS, Image, conversions.boxes_from_label_image),
}
MOST_GIVEN = 8  # boxes of the frames in progress, offered or held for a request
WARN_EVERY_S = 60.0  # a detector reports many classes of no object, in every frame

DETECTOR_PARAMETERS = (
    Parameter(
        "detector",
        "",
        "2D detector whose boxes are searched: model file or folder, http://HOST:PORT/MODEL or "
        "grpc://HOST:PORT/MODEL (docs/detectors.md); empty: none",
    ),
    Parameter(
        "detector_threshold",
        DEFAULT_THRESHOLD,
        "lowest score of a box of the detector",
        read_only=False,
        limits=(0.0, 1.0),
    ),
    Parameter("detector_device", "cpu", "device of a detector's model file, cpu or cuda[:N]"),
)
PARAMETERS = (
    *DETECTOR_PARAMETERS,
    Parameter(
        "box_input",
        NONE,
        "topic of another node's detector: boxes (~/boxes), labels (~/labels) or none",
        choices=(NONE, *KINDS),
    ),
    Parameter(
        "frame_store_mb",
        256,
        "memory for frames that wait for their boxes, megabytes",
        limits=(8, 65536),
    ),
)


def open_detector_of(node: Node) -> Detector:
    """Open the detector of a node's parameters, and run it once.

    Returns:
        The detector.

    Raises:
        InvalidConfig, BackendUnavailable, NotReady: see ``open_detector``.
    """
    source, threshold, device = (node.get_parameter(p.name).value for p in DETECTOR_PARAMETERS)
    detector = open_detector(source, threshold, device)
    try:
        detector.warm_up()
    except BaseException:
        detector.close()
        raise
    return detector


class BoxInput:
    """Boxes of the frames of a node, by its ``PARAMETERS``.

    Args:
        node: has the parameters and, while active, the subscription.
        ready: called with each frame that can be searched: at once, or when its boxes are there.
    """

    def __init__(self, node: ManagedNode, ready: Callable[[CameraMessages], None]) -> None:
        self._node, self._ready = node, ready
        self._detector: Detector | None = None
        self._lock = threading.Lock()
        self._kind: str = node.get_parameter("box_input").value
        self.forget()

    def load(self) -> None:
        """Open the detector, if there is one; in the compute thread.

        Raises:
            InvalidConfig: there are two sources of boxes; or see ``open_detector``.
            BackendUnavailable, NotReady: see ``open_detector``.
        """
        self.release()
        if not self._node.get_parameter("detector").value:
            return
        if self._kind != NONE:
            raise InvalidConfig(
                f"the parameters detector and box_input ({self._kind}) are both set; boxes come "
                "from one of them"
            )
        self._detector = open_detector_of(self._node)

    def release(self) -> None:
        """Close the detector; in the compute thread."""
        detector, self._detector = self._detector, None
        if detector is not None:
            detector.close()

    def open(self) -> None:
        """Subscribe to the topic of the boxes, if there is one."""
        if self._kind != NONE:
            topic, message_type, _ = KINDS[self._kind]
            self._node.subscribe(message_type, topic, self._on_boxes, RESULTS)

    def forget(self) -> None:
        """Drop the frames that wait."""
        most_bytes = self._node.get_parameter("frame_store_mb").value * BYTES_PER_MB
        self._store: FrameStore[CameraMessages, Any] = FrameStore(most_bytes)
        self._given: OrderedDict[int, Boxes] = OrderedDict()

    def unfed(self) -> str:
        """Return why no boxes can come; empty if they can."""
        if self._kind == NONE:
            return ""
        return unpublished(self._node, self._kind, "remap it to the detector's topic")

    def add_frame(self, camera: CameraMessages) -> None:
        """Take a frame of the camera."""
        if self._kind == NONE:
            self._ready(camera)
            return
        stamp_ns = conversions.stamp_ns_of(camera.rgb.header)
        self._matched(self._store.add_frame(stamp_ns, camera, camera.size_bytes))

    def _on_boxes(self, message: Any) -> None:
        self._matched(self._store.add_masks(conversions.stamp_ns_of(message.header), message))
        if self._store.unmatched:
            self.warn(
                f"{self._store.unmatched} messages of boxes came without the frame they belong "
                "to: the detector must pass on the stamp of the same rgb image; else raise "
                "frame_store_mb"
            )

    def _matched(self, match: tuple[CameraMessages, Any] | None) -> None:
        """Hand on a frame whose boxes are usable; a message that is not is reported."""
        if match is None:
            return
        camera, message = match
        try:
            boxes = KINDS[self._kind][2](message)
        except Sam6dError as error:
            self._node.status.failed(InvalidInput(f"~/{self._kind}: {error}"))
            return
        with self._lock:
            self._given[conversions.stamp_ns_of(camera.rgb.header)] = boxes
            while len(self._given) > MOST_GIVEN:
                self._given.popitem(last=False)
        self._ready(camera)

    def boxes_of(self, frame: Frame, ctx: RunContext) -> Boxes | None:
        """Return the boxes of a frame; None where no source is set; in the compute thread."""
        if self._detector is not None:
            with ctx.stage(DETECT):
                threshold = self._node.get_parameter("detector_threshold").value
                boxes = detect_from(self._detector, frame.rgb, threshold)
            return replace(boxes, stamp_ns=frame.stamp_ns)
        if self._kind == NONE:
            return None
        with self._lock:
            return self._given.get(frame.stamp_ns, Boxes.empty(frame.stamp_ns))

    def warn(self, text: str) -> None:
        """Log what was left out of the boxes, each kind now and then."""
        # Without the number of boxes, which changes from frame to frame.
        key = f"boxes: {text.partition(' ')[2]}"
        self._node.status.log(logging.WARNING, text, key, WARN_EVERY_S)
