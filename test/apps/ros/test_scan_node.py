"""The scan node: a camera around an object, its motion from TF, a model at the end."""

from __future__ import annotations

import json
import threading
import time

import cv2
import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String
from std_srvs.srv import Trigger
from support.ros.probe import FRAME_ID
from support.ros.spun import asked, await_that, spun
from tf2_ros import TransformBroadcaster

pytest.importorskip("open3d", reason="missing: pip install -e '.[scan]'")

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.conversions.rigid import pose_message
from sam6d_ros.apps.ros.node.qos import LATCHED
from sam6d_ros.apps.ros.scan_node import ScanNode
from sam6d_ros.cad.objects import load_objects
from sam6d_ros.evaluation.synthetic.objects import bracket
from sam6d_ros.evaluation.synthetic.orbit import Orbit, OrbitPlan, record
from sam6d_ros.evaluation.synthetic.scene import CAMERA
from sam6d_ros.scan.board import BoardSpec

pytestmark = pytest.mark.scan
FRAMES, FIXED = 28, "world"
BOARD = BoardSpec(7, 5, 0.055)
SOURCES = {
    "poses": {"fixed_frame": FIXED, "tf_timeout_s": 5.0},
    "board": {"board": "7x5:55"},
    "scene": {},
}
PATIENCE_S = 300.0


@pytest.fixture(scope="module")
def orbit() -> Orbit:
    mat = cv2.cvtColor(BOARD.image(40), cv2.COLOR_GRAY2RGB)
    plan = OrbitPlan(FRAMES, CAMERA.scaled(0.5), mat=mat, mat_m=BOARD.size_m, turns=1.0)
    return record(bracket(), 5, plan)


def made(folder, **parameters):
    given = {"autostart": "false", "output_folder": folder, "object_name": "part", **parameters}
    pairs = [("-p", f"{name}:={value}") for name, value in given.items()]
    return lambda: ScanNode(["--ros-args", *(text for pair in pairs for text in pair)])


class Camera:
    """Publishers of the camera of a recording, and of its motion."""

    def __init__(self, node):
        kinds = {"~/rgb": Image, "~/depth": Image, "~/camera_info": CameraInfo}
        self._publishers = [node.create_publisher(kind, name, 10) for name, kind in kinds.items()]
        self._node, self._motion = node, TransformBroadcaster(node)
        await_that(lambda: all(p.get_subscription_count() for p in self._publishers), "the node")

    def send(self, frame, world_from_cam=None):
        stamp_ns = self._node.get_clock().now().nanoseconds
        header = conversions.header_from(stamp_ns, FRAME_ID)
        if world_from_cam is not None:
            message = TransformStamped(child_frame_id=FRAME_ID)
            message.header.stamp, message.header.frame_id = header.stamp, FIXED
            pose = pose_message(world_from_cam)
            shift, place = message.transform.translation, pose.position
            shift.x, shift.y, shift.z = place.x, place.y, place.z
            message.transform.rotation = pose.orientation
            self._motion.sendTransform(message)
        images = (
            conversions.image_from_rgb(frame.rgb, header),
            conversions.depth_image_from_metres(frame.depth, header, "32FC1"),
            conversions.camera_info_from_intrinsics(frame.camera, header),
        )
        for publisher, message in zip(self._publishers, images, strict=True):
            publisher.publish(message)

    def film(self, frame, world_from_cam, arrived):
        """Send a frame, and again each second: images are best effort, and may be lost."""
        due = [0.0]

        def come():
            if time.monotonic() >= due[0]:
                due[0] = time.monotonic() + 1.0
                self.send(frame, world_from_cam)
            return arrived()

        await_that(come, "the frame")


def stopped(node):
    """Response of ~/stop, which takes as long as the scan."""
    client, done = node.create_client(Trigger, "~/stop", callback_group=node.service_group), []
    future, ended = client.call_async(Trigger.Request()), threading.Event()
    future.add_done_callback(lambda f: (done.append(f.result()), ended.set()))
    assert ended.wait(PATIENCE_S)
    return done[0]


@pytest.mark.parametrize("source", SOURCES)
def test_a_camera_around_an_object_gives_its_model(source, orbit, tmp_path):
    with spun(made(tmp_path, scan_rate_hz=60.0, **SOURCES[source])) as node:
        told = []
        node.create_subscription(String, "~/progress", lambda m: told.append(m.data), LATCHED)
        node.trigger_configure()
        node.trigger_activate()
        camera = Camera(node)
        started = asked(node, name="~/start")()
        assert started.message == f"recording into {tmp_path}/part"
        for number, (frame, pose) in enumerate(
            zip(orbit.frames, np.asarray(orbit.world_from_cam), strict=True), start=1
        ):
            place = pose if source == "poses" else None
            camera.film(frame, place, lambda n=number: f"recording: {n} frames" in told)
        response = stopped(node)
        assert response.success, response.message
        await_that(lambda: told[-1].startswith("done: "), "the end")
    assert "part.ply: " in response.message
    assert any(text.startswith("fusing: ") for text in told)
    assert any(text.startswith("camera motion: ") for text in told) == (source != "poses")
    (model,) = load_objects(tmp_path / "part/objects.yaml")
    assert model.diameter == pytest.approx(0.1636, abs=0.01)  # of the filmed bracket
    assert json.loads((tmp_path / "part/report.json").read_text())["motion"] == source
    assert len(list((tmp_path / "part/recording/rgb").iterdir())) >= FRAMES


def test_what_cannot_be_done_is_answered_with_the_reason(orbit, tmp_path):
    with spun(made(tmp_path, scan_rate_hz=60.0)) as node:
        node.trigger_configure()
        assert "activate it first" in asked(node, name="~/start")().message
        node.trigger_activate()
        assert "call ~/start first" in stopped(node).message
        assert "call ~/start first" in asked(node, name="~/turn")().message
        assert asked(node, name="~/start")().success
        assert "0 frames were recorded; expected at least 8" in asked(node, name="~/turn")().message
        response = stopped(node)
        assert not response.success
        assert "0 frames were recorded; expected at least 8" in response.message
        assert asked(node, name="~/start")().message.endswith("part_1")  # nothing is overwritten
