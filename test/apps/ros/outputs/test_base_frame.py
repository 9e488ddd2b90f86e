"""Detections in the robot's frame, over DDS with a transform of a robot's description."""

import numpy as np
from geometry_msgs.msg import TransformStamped
from support.ros.probe import FRAME_ID, scene
from tf2_ros import StaticTransformBroadcaster
from vision_msgs.msg import Detection3DArray

from sam6d_ros.apps.ros.conversions.rigid import pose_message, transform_from_pose
from sam6d_ros.geometry import se3

BASE, BASE_FROM_CAM = "base_link", se3.exp([0.4, 0.1, 1.2, 0.3, -2.0, 0.5])
IN_CAMERA, IN_BASE = "/pose_node/detections", "/pose_node/base/detections"


def broadcast(node):
    """Send where the camera is; returns the broadcaster, which must live."""
    message = TransformStamped(child_frame_id=FRAME_ID)
    message.header.frame_id = BASE
    pose = pose_message(BASE_FROM_CAM)
    shift, place = message.transform.translation, pose.position
    shift.x, shift.y, shift.z = place.x, place.y, place.z
    message.transform.rotation = pose.orientation
    broadcaster = StaticTransformBroadcaster(node)
    broadcaster.sendTransform(message)
    return broadcaster


def test_detections_come_in_the_base_frame_once_it_is_known(probe):
    """Until then those of the camera's frame come, and the diagnostics name the transform."""
    probe.listen(IN_CAMERA, "/diagnostics")
    in_base = []
    probe.node.create_subscription(Detection3DArray, IN_BASE, in_base.append, 10)
    given = {"base_frame": BASE, "tf_timeout_s": 0.1, "pair_timeout_s": 0.5}
    probe.start_double("segmentation_node", "pose_node", parameters=given)

    def send():
        probe.send(probe.messages(*scene()))

    def problem():
        return probe.diagnostics("/pose_node").get("input_problem", "")

    expected = f"no transform from the camera's frame {FRAME_ID!r} to base_frame {BASE!r}"
    probe.wait_for(lambda: expected in problem(), "the missing transform", every=send)
    assert probe.received[IN_CAMERA]
    assert not in_base
    broadcaster = broadcast(probe.node)
    probe.wait_for(lambda: in_base and not problem(), "the base frame", every=send)
    message = in_base[-1]
    (same,) = [m for m in probe.received[IN_CAMERA] if m.header.stamp == message.header.stamp]
    assert message.header.frame_id == BASE
    (there,), (here,) = message.detections, same.detections
    assert there.header == message.header
    for pose in (lambda d: d.results[0].pose.pose, lambda d: d.bbox.center):
        expected_pose = BASE_FROM_CAM @ transform_from_pose(pose(here))
        np.testing.assert_allclose(transform_from_pose(pose(there)), expected_pose, atol=1e-6)
    assert there.results[0].hypothesis == here.results[0].hypothesis
    assert broadcaster is not None
