"""Thresholds and limits that change while the nodes run, by the usual service."""

import numpy as np
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from support.ros.probe import scene
from support.ros.tracking_graph import RED, Squares

from sam6d_ros.apps.ros.conversions import masks_from_detections
from sam6d_ros.msg import InstanceMaskArray
from sam6d_ros.types import Detection, Detections

POSES, MASKS = "/pose_node/detections", "/segmentation_node/masks"


def set_parameter(probe, node, name, value):
    """Set it by the service; the node accepts it."""
    client = probe.node.create_client(SetParameters, f"/{node}/set_parameters")
    probe.wait_for(client.service_is_ready, "the parameter service")
    wanted = [Parameter(name, value=value).to_parameter_msg()]
    future = client.call_async(SetParameters.Request(parameters=wanted))
    probe.wait_for(future.done, "the answer")
    (answer,) = future.result().results
    assert answer.successful, answer.reason


def test_min_score_and_max_instances_change_at_run_time(probe):
    probe.listen(POSES)
    masks = probe.node.create_publisher(InstanceMaskArray, MASKS, 5)
    probe.start_double("pose_node")

    def send():
        """Two red boxes, as a segmentation node would send them."""
        messages = probe.messages(*scene([RED, RED]))
        probe.send(messages)
        shown = np.zeros((2, 60, 80), bool)
        shown[0, 20:31, 10:21] = shown[1, 20:31, 40:51] = True
        found = Detections(tuple(Detection("red_box", 0.9, mask) for mask in shown))
        masks.publish(masks_from_detections(found, messages[0].header, (60, 80)))

    def until(count):
        probe.received[POSES].clear()
        probe.wait_for(
            lambda: any(len(m.detections) == count for m in probe.received[POSES]),
            f"{count} poses",
            every=send,
        )

    until(2)
    set_parameter(probe, "pose_node", "min_score", 0.8)  # the double gives 0.75
    until(0)
    set_parameter(probe, "pose_node", "min_score", -1.0)
    set_parameter(probe, "pose_node", "max_instances", 1)
    until(1)
    set_parameter(probe, "pose_node", "max_instances", 3)
    until(2)


def test_thresholds_of_tracking_change_at_run_time(probe):
    """An instance coasts for ``coast_s``; with a longer time it does so over more frames."""
    world = Squares(probe)
    world.start()
    first = world.find([(RED, 15, 20)])
    assert len(first.detections) == 1
    set_parameter(probe, "tracking_node", "tracking.coast_s", 60.0)
    for _ in range(20):  # 0.66 s; it is lost after 0.4 s by the parameter of the start
        result = world.show([])
    assert len(result.detections) == 1
    set_parameter(probe, "tracking_node", "tracking.coast_s", 0.1)
    assert not world.show([]).detections
