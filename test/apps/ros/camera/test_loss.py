"""Images that the transport loses, and a camera that starts after the nodes."""

import logging

import numpy as np
from support.ros.eyes import Eyes
from support.ros.probe import scene

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.camera import watch
from sam6d_ros.apps.ros.camera.topics import INPUTS, CameraTopic
from sam6d_ros.apps.ros.camera.watch import loss_remedy
from sam6d_ros.apps.ros.node.graph import PROFILE
from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.runtime.status import HostStatus

CAMERA = CameraIntrinsics(600.0, 600.0, 319.5, 239.5, 640, 480)


def camera(probe):
    """A function that sends camera_info and, two times in seven, images of 640 × 480 pixels."""
    ticks = iter(range(10_000))

    def send():
        tick = next(ticks)
        rgb, depth, _ = probe.messages(*scene())
        info = conversions.camera_info_from_intrinsics(CAMERA, rgb.header)
        probe.publishers[2].publish(info)
        for number, dtype, shape in ((0, np.uint8, (480, 640, 3)), (1, np.uint16, (480, 640))):
            if tick % 7 in (number, 2 + number):  # gaps of 2 and 5, and never both
                header = (rgb, depth)[number].header
                probe.publishers[number].publish(image(np.zeros(shape, dtype), header))

    return send


def image(pixels, header):
    if pixels.ndim == 3:
        return conversions.image_from_rgb(pixels, header)
    return conversions.depth_image_from_metres(pixels.astype(np.float32), header, "16UC1")


def test_loss_comes_before_clocks_slop_and_reliability(probe):
    """Images lost at random never pair; the remedy is the profile in the camera's process too."""
    probe.listen("/diagnostics")
    (node,) = probe.start_double("segmentation_node", parameters={"slop_s": 0.001})

    def problem():
        return probe.diagnostics("/segmentation_node").get("input_problem", "")

    probe.wait_for(lambda: "lost in the transport" in problem(), "the loss", every=camera(probe))
    reported = problem()
    assert "camera_info but only" in reported
    assert f"MB each) arrived. {loss_remedy(['/probe'])}" in reported
    for other in ("clocks", "slop_s", "reliability"):
        assert other not in reported
    assert "lost in the transport" in node.output()


def test_the_profile_is_set_here_before_it_is_set_for_the_camera(monkeypatch):
    monkeypatch.setenv(PROFILE, "fastdds.xml")
    remedy = loss_remedy(["/a/camera", "/b/camera"])
    assert (
        f"Set {PROFILE} to this package's config/fastdds.xml in the process of /a/camera" in remedy
    )
    monkeypatch.delenv(PROFILE)
    assert f"{PROFILE} is not set" in loss_remedy(["/a/camera"])


def test_a_camera_that_is_not_there_yet_is_waited_for(ros):
    """At the start it is no warning: drivers take seconds to their first image."""
    eyes = Eyes(ros, "-p", "pair_timeout_s:=0.1")
    lines = []
    eyes.status._log = lambda *line: lines.append(line)
    eyes.open()
    ros.wait_for(lambda: lines, "a line")
    ((level, text),) = lines
    assert level < 30
    assert text.startswith("waiting for the camera: no message on ~/rgb (/eyes/rgb, 1 publishers)")
    assert "no message on ~/rgb" in eyes.status.snapshot().input_problem


def test_a_camera_that_waits_for_another_node_is_no_warning(ros, monkeypatch):
    """A replay waits until every node is ready, and one may compile for minutes."""
    monkeypatch.setattr(watch, "START_S", 0.0)
    monkeypatch.setattr(watch, "NO_CAMERA_EVERY_S", 0.0)
    loading, levels = [True], []
    status = HostStatus("/eyes", lambda level, text: levels.append(level))
    node = Eyes(ros).node
    topics = [CameraTopic(node, name) for name in INPUTS]
    camera = watch.CameraWatch(status, topics, 0.0, 0.0, str, lambda: bool(loading))
    camera.check()
    assert levels == [logging.INFO]
    loading.clear()
    camera.check()
    assert levels == [logging.INFO, logging.WARNING]
