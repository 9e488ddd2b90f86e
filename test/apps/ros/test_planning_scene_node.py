"""The planning scene node as a process, with MoveIt's messages and without."""

import os
import subprocess
import sys

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from rclpy.qos import QoSProfile
from support.ros.grasp_graph import BASE, BASE_FROM_CAM, BOX, POSES
from support.ros.nodes import change_state

from sam6d_ros.apps.ros.conversions.rigid import transform_from_pose


def test_without_moveit_the_planning_scene_node_says_in_one_line_what_to_install():
    blocker = "import sys; sys.modules['moveit_msgs'] = None; "
    run = "from sam6d_ros.apps.ros.planning_scene_node import main; sys.exit(main())"
    result = subprocess.run(
        [sys.executable, "-c", blocker + run],
        env={**os.environ, "ROS_DISTRO": "jazzy"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr == (
        "planning_scene_node needs moveit_msgs, which is not installed: "
        "sudo apt install ros-jazzy-moveit-msgs\n"
    )


def test_the_scene_of_moveit_gets_adds_moves_and_removes_objects_with_their_grasps(graph):
    messages = pytest.importorskip(
        "moveit_msgs.msg", reason="moveit_msgs comes with a ROS 2 distribution only"
    )
    kind = messages.CollisionObject
    graph.start("planning_scene_node", base_frame=BASE, forget_s=2.0, subframes=3)
    graph.broadcast_camera()
    changes = []
    graph.probe.node.create_subscription(
        kind, "/collision_object", changes.append, QoSProfile(depth=100)
    )

    def last(operation):
        return [c for c in changes if c.operation == operation]

    def send(seconds, *names):
        graph.stamp_ns += int(seconds * 1e9)
        graph.send(*names)

    graph.send_until(lambda: last(kind.ADD) and last(kind.MOVE), "add, then move", "red_box")
    added, moved = last(kind.ADD)[0], last(kind.MOVE)[0]
    assert added.header.frame_id == moved.header.frame_id == BASE
    assert (added.id, added.type.key) == ("red_box_0", "red_box")
    for change in (added, moved):
        base_from_obj = transform_from_pose(change.pose)
        np.testing.assert_allclose(base_from_obj, BASE_FROM_CAM @ POSES["red_box"], atol=1e-6)
    (mesh,) = added.meshes
    corners = np.array([[v.x, v.y, v.z] for v in mesh.vertices])
    np.testing.assert_allclose(np.ptp(corners, axis=0), BOX, atol=1e-6)
    assert len(mesh.triangles) == 12
    assert len(added.subframe_names) == len(added.subframe_poses) == 6
    assert added.subframe_names[:2] == ["sampled_0", "sampled_0_pregrasp"]
    assert not moved.meshes
    assert not moved.subframe_names
    graph.probe.wait_for(lambda: last(kind.REMOVE), "the removal", every=lambda: send(0.5))
    assert last(kind.REMOVE)[0].id == "red_box_0"
    changes.clear()
    graph.send_until(lambda: last(kind.MOVE), "the object again", "red_box")
    late = []
    graph.probe.node.create_subscription(
        kind, "/collision_object", late.append, QoSProfile(depth=100)
    )
    graph.send_until(
        lambda: any(c.operation == kind.ADD for c in late), "an add for the late one", "red_box"
    )
    late.clear()
    for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP):
        change_state(graph.probe, "planning_scene_node", transition)
    graph.probe.wait_for(
        lambda: [(c.id, c.operation) for c in late] == [("red_box_0", kind.REMOVE)],
        "the clean-up of the scene",
    )
