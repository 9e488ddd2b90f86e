"""The camera side of the nodes: what they take, what they refuse, and what they say about it."""

from rclpy.qos import QoSProfile

from sam6d_ros.apps.ros import camera_input
from sam6d_ros.apps.ros.camera_input import CameraInput
from sam6d_ros.apps.ros.parameters import declare
from sam6d_ros.apps.ros.status import NodeStatus, State


def open_input(node, callback):
    """The camera side alone, in a node of the test's own process."""
    status = NodeStatus(node.get_fully_qualified_name(), node.get_logger())
    status.state = State.RUNNING
    return CameraInput(node, status, callback), status


def test_a_closed_input_hears_nothing_and_can_be_opened_anew(ros):
    """As often as a node is deactivated and activated."""
    node, camera = ros.node("eyes"), ros.node("camera")
    declare(node, camera_input.PARAMETERS)
    topics = ["/eyes/rgb", "/eyes/depth", "/eyes/camera_info"]
    publishers = [
        camera.create_publisher(kind, topic, QoSProfile(depth=5))
        for topic, kind in zip(topics, camera_input.INPUTS.values(), strict=True)
    ]
    subscribed = lambda: [p.get_subscription_count() for p in publishers]  # noqa: E731
    timers = len(list(node.timers))
    for _ in range(2):
        opened, _ = open_input(node, lambda frame: None)
        ros.wait_for(lambda: subscribed() == [1, 1, 1], "the subscriptions")
        opened.close()
        ros.wait_for(lambda: subscribed() == [0, 0, 0], "no subscription")
        assert len(list(node.timers)) == timers
