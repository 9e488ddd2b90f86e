"""The tracking node as a process over real DDS: ids that stay, loss, return, late estimates.

The tracker is a double, which follows squares of one colour; the real one is in
``test_tracking_for_real.py``.
"""

import os
import signal
from dataclasses import fields

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from support.ros.nodes import change_state
from support.ros.probe import DOUBLE as ENGINE_DOUBLE
from support.ros.probe import INPUT_REMAPPINGS
from support.ros.tracking_graph import (
    FRAME_NS,
    GREEN,
    NODE,
    RED,
    Graph,
    Squares,
    columns,
    ids,
    scores,
    seen,
)
from vision_msgs.msg import VisionInfo
from visualization_msgs.msg import Marker, MarkerArray

from sam6d_ros.apps.ros import conversions, tracking_node
from sam6d_ros.apps.ros.node.qos import LATCHED
from sam6d_ros.config import TrackingConfig
from sam6d_ros.msg import ObjectList
from sam6d_ros.types import PoseEstimate


@pytest.fixture
def world(probe):
    return Squares(probe)


def test_two_equal_objects_keep_their_ids_while_they_pass_and_are_estimated_anew(world):
    world.start()
    squares = [(RED, 15, 20), (RED, 60, 45), (GREEN, 40, 30)]
    first = world.find(squares)
    names = columns(first)
    (left,) = [name for name, column in names.items() if name[0] == "r" and column < 30]
    (right,) = [name for name, column in names.items() if name[0] == "r" and column > 45]
    for step in range(1, 23):  # the red ones change sides
        squares = [(RED, 15 + 2 * step, 20), (RED, 60 - 2 * step, 45), (GREEN, 40, 30)]
        result = world.show(squares)
        assert columns(result)[left] == pytest.approx(15 + 2 * step, abs=0.5)
        assert columns(result)[right] == pytest.approx(60 - 2 * step, abs=0.5)
        if step % 5 == 0:
            world.tell(squares[::-1])  # in another order, as a pose node may
    assert set(ids(result)) == set(names)


def test_every_result_has_its_place_in_tf_while_it_is_seen(world):
    world.start({"tf_prefix": "cell/"})
    squares = [(RED, 20, 30), (GREEN, 60, 30)]
    result = world.find(squares)
    stamp = conversions.stamp_ns_of(result.header)
    world.probe.wait_for(lambda: stamp in world.frames_of_tf, "TF")
    assert world.frames_of_tf[stamp] == {f"cell/{name}" for name in ids(result)}
    hidden = world.show(squares[:1])
    assert len(ids(hidden)) == 2, "what is hidden is held"
    stamp = conversions.stamp_ns_of(hidden.header)
    world.probe.wait_for(lambda: stamp in world.frames_of_tf, "TF")
    assert world.frames_of_tf[stamp] == {f"cell/{name}" for name in seen(hidden)}


def test_an_object_that_is_hidden_for_a_moment_is_followed_through(world):
    world.start()
    squares = [(RED, 20, 30), (GREEN, 60, 30)]
    before = world.find(squares)
    (green,) = [name for name in ids(before) if name.startswith("green")]
    held = [scores(world.show(squares[:1]))[green] for _ in range(8)]  # 0.26 s: less than coast_s
    assert held == sorted(held, reverse=True)
    assert 0 < held[-1] < held[0] < 0.8
    after = world.show(squares)
    assert green in seen(after)


def test_what_is_gone_is_lost_and_gets_its_id_back_when_it_is_found_again(world):
    world.start()
    squares = [(RED, 20, 30), (GREEN, 60, 30)]
    before = world.find(squares)
    world.show_until(squares[:1], lambda r: len(ids(r)) == 1, "lost")
    for _ in range(3):
        assert len(ids(world.show(squares))) == 1, "back in view, and not found again yet"
    world.tell(squares)
    after = world.show_until(squares, lambda r: len(seen(r)) == 2, "found again")
    assert set(ids(after)) == set(ids(before))


def test_an_estimate_that_comes_late_is_followed_to_where_the_object_is_now(world):
    world.start()
    world.show([(RED, 15, 30)])
    then = world.stamp_ns
    for column in range(16, 60):  # 1.5 s later, half the image away
        assert ids(world.show([(RED, column, 30)])) == []
    world.tell([(RED, 15, 30)], stamp_ns=then)
    result = world.show_until([(RED, 59, 30)], lambda r: seen(r), "found")
    assert list(columns(result).values()) == pytest.approx([59], abs=0.5)


def test_tracking_goes_on_while_the_pose_node_is_killed_and_started_again(probe):
    probe.listen("/pose_node/detections")
    _, pose = probe.start_double("segmentation_node", "pose_node")
    world = Squares(probe, start_ns=0)
    world.start()
    squares = [(RED, 15, 30), (GREEN, 60, 30)]

    def show_now(column):
        """Frames as they would come now: real stamps, which the pose node also goes by."""
        world.stamp_ns = probe.now_ns() - FRAME_NS
        return world.show([(RED, column, 30), squares[1]])

    def until(condition, what, column=15):
        done = []
        probe.wait_for(
            lambda: done, what, every=lambda: condition(show_now(column)) and done.append(1)
        )

    until(lambda r: len(seen(r)) == 2, "both to be found by the pose node")
    names = set(ids(show_now(15)))
    probe.children.running.remove(pose)
    os.killpg(pose._process.pid, signal.SIGKILL)
    assert pose.wait() == -signal.SIGKILL
    probe.received["/pose_node/detections"].clear()
    for column in range(16, 41):
        assert seen(show_now(column)) == names, "no estimates, and all is followed"
    program = (str(ENGINE_DOUBLE), "pose_node")
    probe.children.start("pose_node", {"objects_file": "unused"}, INPUT_REMAPPINGS, program)
    until(lambda r: len(probe.received["/pose_node/detections"]) > 1, "new estimates", 40)
    assert seen(show_now(40)) == names


def test_estimates_of_another_camera_and_of_unknown_objects_are_refused_with_the_reason(world):
    child = world.start()
    squares = [(RED, 20, 30)]
    world.show(squares)
    world.tell(squares, frame_id="other_camera")
    world.probe.wait_for(lambda: "other_camera" in child.output(), "a complaint")
    assert "remap ~/estimates" in child.output()
    teapot = PoseEstimate("teapot", 0.9, np.eye(4))
    Graph.tell(world, [teapot], {"teapot": world.models["red_box"]})
    world.probe.wait_for(lambda: "teapot" in child.output(), "a complaint")
    assert ids(world.show(squares)) == []


def test_instances_of_an_object_that_is_removed_are_followed_no_more(world):
    lists, databases = [], []
    node = world.probe.node
    node.create_subscription(VisionInfo, f"/{NODE}/vision_info", databases.append, LATCHED)
    node.create_subscription(ObjectList, f"/{NODE}/objects", lists.append, LATCHED)
    others = node.create_publisher(ObjectList, "/segmentation_node/objects", LATCHED)
    world.start()
    squares = [(RED, 20, 30), (GREEN, 60, 30)]
    world.find(squares)
    world.probe.wait_for(lambda: lists, "the list of objects")
    (red,) = (entry for entry in lists[-1].objects if entry.name == "red_box")
    others.publish(ObjectList(objects=[red]))
    left = world.show_until(squares, lambda r: len(ids(r)) == 1, "one")
    assert ids(left)[0].startswith("red_box")
    world.probe.wait_for(lambda: len(databases) == 2, "the news of another set of objects")


def test_viewers_get_markers_and_overlays_at_their_rate_and_diagnostics_count_the_objects(world):
    probe = world.probe
    probe.listen("/diagnostics")
    views = {Image: [], MarkerArray: []}
    for (kind, messages), name in zip(views.items(), ("overlay", "markers"), strict=True):
        topic = f"/{NODE}/{name}"
        probe.node.create_subscription(kind, topic, messages.append, QoSProfile(depth=100))
    world.start({"view_rate_hz": 1.0})
    squares = [(RED, 20, 30), (GREEN, 60, 30)]
    world.find(squares)
    meshes = []

    def add_meshes():
        world.show(squares)
        meshes[:] = [m for a in views[MarkerArray] for m in a.markers if m.action == Marker.ADD]

    probe.wait_for(
        lambda: (
            views[Image]
            and len(meshes) >= 2
            and probe.diagnostics(f"/{NODE}").get("tracked_objects") == "2"
        ),
        "views and a count",
        every=add_meshes,
    )
    assert len(views[Image]) < len(world.results) / 4
    assert {m.ns for m in meshes} == {"red_box", "green_box"}


def test_when_time_goes_back_all_is_forgotten_and_begins_again(world):
    world.start()
    squares = [(RED, 20, 30)]
    first = world.find(squares)
    world.stamp_ns -= 100 * FRAME_NS  # a bag that is played again
    assert ids(world.show(squares)) == []
    world.tell(squares)
    second = world.show_until(squares, lambda r: seen(r), "found")
    assert set(ids(second)).isdisjoint(ids(first)), "an id never means two objects"


def test_a_node_that_is_cleaned_up_and_configured_anew_gives_no_id_twice(world):
    world.start()
    squares = [(RED, 20, 30)]
    first = world.find(squares)
    for transition in (
        Transition.TRANSITION_DEACTIVATE,
        Transition.TRANSITION_CLEANUP,
        Transition.TRANSITION_CONFIGURE,
        Transition.TRANSITION_ACTIVATE,
    ):
        change_state(world.probe, NODE, transition)
    world.wait_until_heard()
    assert ids(world.show(squares)) == []
    second = world.find(squares)
    assert set(ids(second)).isdisjoint(ids(first)), "an id never means two objects"


def test_every_setting_of_the_tracking_is_a_parameter_with_its_default():
    rows = {row.name: row.default for row in tracking_node.TRACKING_PARAMETERS}
    assert rows == {f"tracking.{f.name}": f.default for f in fields(TrackingConfig)}
