"""Boxes of a 2D detector in front of the segmentation node."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cv_bridge import CvBridge
from sensor_msgs.msg import CameraInfo, Image
from support.ros import engine_double
from support.ros.spun import arguments, asked, await_that, camera_messages, log_lines, spun
from support.tiny_detector import write_fixed
from vision_msgs.msg import Detection2DArray

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.detector_node import NO_BOX
from sam6d_ros.apps.ros.segmentation_node import SegmentationNode
from sam6d_ros.evaluation.bop import BopDataset
from sam6d_ros.msg import InstanceMaskArray
from sam6d_ros.srv import SegmentFrame
from sam6d_ros.types import Boxes

REAL = Path(__file__).resolve().parents[5] / "shared/real/lm"
STAMP_NS = 7_000_000_000
# The frame shows a red and a green square; by the boxes the left one may be either.
LEFT, RIGHT = (9.0, 19.0, 22.0, 32.0), (39.0, 19.0, 52.0, 32.0)
GIVEN = [("red_box", *LEFT), ("green_box", *LEFT), ("cat", *RIGHT)]
NO_OBJECT = "1 box of class 'cat', which no object has"


class Searching:
    """An active segmentation node around the double, with what it publishes and logs."""

    def __init__(self, node, monkeypatch) -> None:
        self.node, self.log = node, log_lines(node, monkeypatch)
        self.masks = []
        node.create_subscription(
            InstanceMaskArray, "/segmentation_node/masks", self.masks.append, 10
        )
        kinds = {"rgb": Image, "depth": Image, "camera_info": CameraInfo}
        self.camera = {n: node.create_publisher(k, f"~/{n}", 10) for n, k in kinds.items()}
        node.trigger_configure()
        node.trigger_activate()

    def await_readers(self, *publishers) -> None:
        every = [*self.camera.values(), *publishers]
        await_that(lambda: all(p.get_subscription_count() for p in every), "the subscriptions")

    def send_frame(self, stamp_ns=STAMP_NS) -> None:
        messages = camera_messages(stamp_ns)
        for publisher, message in zip(self.camera.values(), messages, strict=True):
            publisher.publish(message)

    def found(self, count=1) -> list[str]:
        await_that(lambda: len(self.masks) >= count, "masks")
        return [instance.class_id for instance in self.masks[-1].instances]

    def warnings(self) -> list[str]:
        return [text for _, text in self.log]


def segmentation(**parameters):
    return lambda: SegmentationNode(engine_double.build, arguments(**parameters))


def message_of(rows, stamp_ns=STAMP_NS) -> Detection2DArray:
    xyxy = np.array([row[1:] for row in rows], np.float32).reshape(-1, 4)
    boxes = Boxes(xyxy, tuple(row[0] for row in rows), np.full(len(rows), 0.9, np.float32))
    header = conversions.header_from(stamp_ns, "test_optical_frame")
    return conversions.detection_2d_array_from_boxes(boxes, header)


@pytest.mark.parametrize("first", ["frame", "boxes"])
def test_a_frame_is_searched_in_the_boxes_of_its_stamp(monkeypatch, first):
    with spun(segmentation(box_input="boxes")) as node:
        searching = Searching(node, monkeypatch)
        boxes = node.create_publisher(Detection2DArray, "~/boxes", 10)
        searching.await_readers(boxes)
        steps = [searching.send_frame, lambda: boxes.publish(message_of(GIVEN))]
        for step in steps if first == "frame" else reversed(steps):
            assert not searching.masks
            step()
        assert searching.found() == ["red_box"], "the green one lies in no box of its class"
        assert NO_OBJECT in searching.warnings()
        request = SegmentFrame.Request()
        answer = asked(node, SegmentFrame, "~/segment", request)()
        assert [instance.class_id for instance in answer.masks.instances] == ["red_box"]


def test_masks_of_a_label_image_are_regions(monkeypatch, tmp_path):
    """A frame that no detection is found in has a result with the reason."""
    with spun(segmentation(box_input="labels")) as node:
        searching = Searching(node, monkeypatch)
        publisher = node.create_publisher(Image, "~/labels", 10)
        searching.await_readers(publisher)
        image = CvBridge().cv2_to_imgmsg(np.full((60, 80), 3, np.uint8), encoding="mono8")
        image.header = conversions.header_from(STAMP_NS, "test_optical_frame")
        searching.send_frame()
        publisher.publish(image)
        assert searching.found() == ["red_box", "green_box"], "no class stands for them: everywhere"
        assert "1 box of class '3', which no object has" in searching.warnings()


def test_boxes_that_are_none_are_reported_and_the_node_goes_on(monkeypatch):
    with spun(segmentation(box_input="boxes")) as node:
        searching = Searching(node, monkeypatch)
        boxes = node.create_publisher(Detection2DArray, "~/boxes", 10)
        searching.await_readers(boxes)
        bad = message_of(GIVEN)
        bad.detections[0].results[0].hypothesis.score = 87.0
        searching.send_frame()
        boxes.publish(bad)
        await_that(lambda: "~/boxes" in node.status.snapshot().last_error, "the error")
        searching.send_frame(STAMP_NS + 1)
        boxes.publish(message_of(GIVEN, STAMP_NS + 1))
        assert searching.found() == ["red_box"]


@pytest.mark.sam6d
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_detector_of_the_node_restricts_the_search(monkeypatch, tmp_path):
    write_fixed(tmp_path, GIVEN)
    with spun(segmentation(detector=tmp_path)) as node:
        searching = Searching(node, monkeypatch)
        searching.await_readers()
        searching.send_frame()
        assert searching.found() == ["red_box"]
        assert NO_OBJECT in searching.warnings()
        await_that(lambda: "detect" in node.status.snapshot().figures.stages, "its time")


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"detector": "/none/model.pt"}, "no detector at '/none/model.pt'"),
        ({"detector": "model.pt", "box_input": "labels"}, "are both set"),
    ],
)
def test_a_detector_that_cannot_be_opened_keeps_the_node_unconfigured(parameters, reason):
    with spun(segmentation(**parameters)) as node:
        node.trigger_configure()
        assert node.lifecycle == "unconfigured"
        assert reason in node.status.snapshot().last_error


def real_boxes(dataset: BopDataset) -> list[tuple[str, float, float, float, float]]:
    """The box around the annotated cat, by its centre and diameter."""
    (truth,) = dataset.ground_truth(0, 1) or ()
    camera, (x, y, z) = dataset.frame(0, 1).camera, truth.cam_from_obj[:3, 3]
    u, v, r = camera.cx + camera.fx * x / z, camera.cy + camera.fy * y / z, 0.075 * camera.fx / z
    return [("animal", u - r, v - r, u + r, v + r)]


@pytest.mark.sam6d
@pytest.mark.skipif(not REAL.is_dir(), reason="the real frames of ../shared/real are absent")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_detector_node_feeds_the_segmentation_node_on_a_real_frame(probe, tmp_path):
    """Processes: a camera of files, the detector, the search with the geometric backend."""
    write_fixed(tmp_path / "detector", real_boxes(BopDataset(REAL)))
    entry = {"name": "cat", "mesh": str(REAL / "models/obj_000006.ply"), "unit": "mm"}
    objects = tmp_path / "objects.yaml"
    objects.write_text(json.dumps({"objects": [entry | {"detector_classes": ["animal"]}]}))
    probe.listen("/segmentation_node/masks", "/diagnostics")
    received = []
    probe.node.create_subscription(
        Detection2DArray, "/detector_node/detections", received.append, 10
    )
    camera = ["-r", "~/rgb:=/cam/color/image_raw", "-r", "~/camera_info:=/cam/color/camera_info"]
    camera += ["-r", "~/depth:=/cam/aligned_depth_to_color/image_raw"]
    start = probe.children.start
    start("detector_node", {"detector": tmp_path / "detector"}, camera)
    searching = {"objects_file": objects, "backend": "geometric", "box_input": "boxes"}
    remapped = ["-r", "~/boxes:=/detector_node/detections"]
    start("segmentation_node", searching, [*camera, *remapped])
    ready = ["/detector_node/ready", "/segmentation_node/ready"]
    replay = {"path": REAL / "test/000000", "rate_hz": 1.0, "wait_for": ready}
    start("replay_node", replay, ["-r", "__ns:=/cam"])
    probe.wait_ready("detector_node", "segmentation_node", timeout_s=120)
    masks = probe.received["/segmentation_node/masks"]

    def matched():
        """Masks of images whose boxes have come here too."""
        stamps = {conversions.stamp_ns_of(message.header) for message in received}
        return [m for m in masks if conversions.stamp_ns_of(m.header) in stamps]

    # A search takes 20 s on a busy machine.
    probe.wait_for(matched, "masks", 120)
    probe.wait_for(lambda: probe.diagnostics("/detector_node").get("detect_ms"), "figures", 30)
    assert [instance.class_id for instance in matched()[0].instances] == ["cat"]
    assert probe.diagnostics("/detector_node")["backend"] == "torchscript"
    assert probe.diagnostics("/detector_node")["empty_result_reason"] != NO_BOX
