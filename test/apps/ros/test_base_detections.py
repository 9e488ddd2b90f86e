"""Detections in the frame of the robot."""

import pytest
from geometry_msgs.msg import TransformStamped
from support.ros.nodes import start
from support.ros.probe import FRAME_ID, scene
from tf2_ros import StaticTransformBroadcaster
from vision_msgs.msg import Detection3DArray


def test_detections_come_in_the_base_frame_too(probe):
    """Once the transform is known; until then the diagnostics name what is missing."""
    topic = "/pose_node/base/detections"
    in_base = []
    probe.node.create_subscription(Detection3DArray, topic, in_base.append, 5)
    probe.listen("/pose_node/detections", "/diagnostics")
    probe.start_double("segmentation_node")
    start(probe, "pose_node", {"base_frame": "base_link", "tf_timeout_s": 0.1})
    probe.wait_ready("segmentation_node", "pose_node")

    def problem():
        return probe.diagnostics("/pose_node").get("input_problem", "")

    def send():
        probe.send(probe.messages(*scene()))

    probe.wait_for(lambda: "no transform from" in problem(), "the problem", every=send)
    assert not in_base
    place = TransformStamped(child_frame_id=FRAME_ID)
    place.header.frame_id = "base_link"
    place.transform.translation.x = 0.5
    broadcaster = StaticTransformBroadcaster(probe.node)
    broadcaster.sendTransform(place)
    probe.wait_for(lambda: in_base, "detections in the base frame", every=send)
    (message,) = in_base[:1]
    plain = next(m for m in probe.received["/pose_node/detections"] if same_stamp(m, message))
    assert message.header.frame_id == "base_link"
    (there,), (here,) = message.detections, plain.detections
    assert there.id == here.id
    x = [d.results[0].pose.pose.position.x for d in (there, here)]
    assert x[0] == pytest.approx(x[1] + 0.5)


def same_stamp(one, other):
    return one.header.stamp == other.header.stamp
