"""The detector node in one process: life, inputs, what it publishes."""

from __future__ import annotations

import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from support.ros.spun import await_that, camera_messages, spun
from support.tiny_detector import write_fixed
from vision_msgs.msg import Detection2DArray

from sam6d_ros.apps.ros import conversions, detector_node
from sam6d_ros.apps.ros.detector_node import NO_BOX, DetectorNode

STAMP_NS = 7_000_000_000


def made(**parameters):
    given = {"autostart": "false", **parameters}
    pairs = [("-p", f"{name}:={value}") for name, value in given.items()]
    return lambda: DetectorNode(["--ros-args", *(text for pair in pairs for text in pair)])


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [({}, "parameter detector is not set"), ({"detector": "/none"}, "no detector at '/none'")],
)
def test_without_a_detector_the_node_stays_unconfigured(parameters, reason):
    with spun(made(**parameters)) as node:
        node.trigger_configure()
        assert node.lifecycle == "unconfigured"
        assert reason in node.status.snapshot().last_error


@pytest.mark.sam6d
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "rows", [[("cup", 9.0, 19.0, 22.0, 32.0)], [("cup", 90.0, 0.0, 99.0, 9.0)]]
)
def test_every_image_has_its_boxes_and_a_cleanup_closes_the_detector(tmp_path, rows, monkeypatch):
    """The second box lies outside the image of 80 pixels: a message without boxes."""
    write_fixed(tmp_path, rows)
    with spun(made(detector=tmp_path)) as node:
        received = []
        node.create_subscription(Detection2DArray, "~/detections", received.append, 10)
        camera = node.create_publisher(Image, "~/rgb", 10)
        node.trigger_configure()
        node.trigger_activate()
        await_that(camera.get_subscription_count, "the subscription")
        image = camera_messages(STAMP_NS).rgb
        camera.publish(image)
        await_that(lambda: received, "boxes")
        boxes = conversions.boxes_from_detection_2d_array(received[0])
        assert received[0].header == image.header
        inside = rows[0][1] < 80
        assert boxes.xyxy.tolist() == ([list(rows[0][1:])] if inside else [])
        await_that(lambda: node.status.snapshot().figures.processed, "the record")
        assert node.status.snapshot().empty_reason == ("" if inside else NO_BOX)
        closed = []
        detector = node.host._resource.detector
        monkeypatch.setattr(detector, "close", lambda close=detector.close: closed.append(close()))
        node.trigger_deactivate()
        await_that(lambda: not camera.get_subscription_count(), "the end of the subscription")
        node.trigger_cleanup()
        assert len(closed) == 1
        node.trigger_configure()
        assert node.lifecycle == "inactive"


@pytest.mark.sam6d
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_threshold_changes_at_run_time(tmp_path):
    """Down too, below that with which the detector was opened."""
    write_fixed(tmp_path, [("cup", 9.0, 19.0, 22.0, 32.0)], score=0.5)
    with spun(made(detector=tmp_path, detector_threshold=0.9)) as node:
        received = []
        node.create_subscription(Detection2DArray, "~/detections", received.append, 10)
        camera = node.create_publisher(Image, "~/rgb", 10)
        node.trigger_configure()
        node.trigger_activate()
        await_that(camera.get_subscription_count, "the subscription")
        for threshold, count in ((0.9, 0), (0.1, 1), (0.9, 0)):
            node.set_parameters([Parameter("detector_threshold", value=threshold)])
            before = len(received)
            camera.publish(camera_messages(STAMP_NS).rgb)
            await_that(lambda before=before: len(received) > before, "boxes")
            assert len(received[-1].detections) == count


@pytest.mark.sam6d
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_silent_camera_and_an_unusable_image_are_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(detector_node, "INPUT_TIMEOUT_S", 0.0)
    write_fixed(tmp_path, [("cup", 9.0, 19.0, 22.0, 32.0)])
    with spun(made(detector=tmp_path)) as node:
        node.trigger_configure()
        node.trigger_activate()
        wanted = "no message on ~/rgb (/detector_node/rgb, 0 publishers). Remap it"
        await_that(lambda: wanted in node.status.snapshot().input_problem, "the problem")
        camera = node.create_publisher(Image, "~/rgb", 10)
        await_that(camera.get_subscription_count, "the subscription")
        image = camera_messages(STAMP_NS).rgb
        image.encoding = "yuv422"
        camera.publish(image)
        await_that(lambda: "yuv422" in node.status.snapshot().last_error, "the error")
        assert node.lifecycle == "active"
        node.trigger_deactivate()
        assert not node.status.snapshot().input_problem
