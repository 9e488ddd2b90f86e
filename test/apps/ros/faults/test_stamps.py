"""Stamps that no clock has, on every input of the running nodes."""

import pytest
from builtin_interfaces.msg import Time
from std_msgs.msg import Header
from support.ros.probe import DEPTH, INFO, RGB, scene
from support.ros.world import MASKS, POSES
from vision_msgs.msg import Detection3DArray

from sam6d_ros.msg import InstanceMaskArray

STAMPS = [
    Time(sec=-1),
    Time(sec=-(2**31)),
    Time(sec=-1, nanosec=2**32 - 1),
    Time(nanosec=2**32 - 1),
]
IDS = ["minus one", "least", "both", "nanoseconds"]


@pytest.mark.parametrize("stamp", STAMPS, ids=IDS)
@pytest.mark.parametrize("topic", [RGB, DEPTH, INFO])
def test_a_camera_message_with_such_a_stamp_is_reported_and_the_next_frames_are_used(
    world, topic, stamp
):
    messages = dict(zip((RGB, DEPTH, INFO), world.probe.messages(*scene()), strict=True))
    messages[topic].header.stamp = stamp
    for node in world.nodes:
        world.wait_for_problem(
            node,
            f"stamp {stamp.sec} s, {stamp.nanosec} ns",
            every=lambda: world.publish(topic, messages[topic]),
        )
    world.poses_come()


@pytest.mark.parametrize("stamp", STAMPS, ids=IDS)
def test_results_of_other_nodes_with_such_a_stamp_are_survived(world, stamp):
    header = Header(stamp=stamp, frame_id="test_optical_frame")
    world.publish(MASKS, InstanceMaskArray(header=header, height=60, width=80))
    world.publish(f"{MASKS}/in_work", header)
    world.publish(POSES, Detection3DArray(header=header))
    world.poses_come()
