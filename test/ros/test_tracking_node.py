"""The tracking node as a process over real DDS: ids that stay, loss, return, late estimates.

The tracker is a double, which follows squares of one colour, except in the last test.
"""

import os
import signal
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from rclpy.qos import QoSProfile
from ros.engine_double import TURNS
from ros.probe import CAMERA, FRAME_ID, INPUT_REMAPPINGS
from ros.probe import DOUBLE as ENGINE_DOUBLE
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import Marker, MarkerArray

from sam6d_ros.apps.ros import conversions, tracking_node
from sam6d_ros.config import TrackingConfig
from sam6d_ros.geometry import se3
from sam6d_ros.types import PoseEstimate, PoseEstimates

DOUBLE = Path(__file__).with_name("tracking_double.py")
NODE = "tracking_node"
TRACKED, TF = f"/{NODE}/detections", "/tf"
RED, GREEN = (255, 0, 0), (0, 255, 0)
CLASSES = {RED: "red_box", GREEN: "green_box"}
FRAME_NS = 33_000_000
QUICK = {"tracking.hold_s": 0.4, "tracking.remember_s": 60.0}


class World:
    """Coloured squares before a grey wall, a clock of its own, and what the node makes of them."""

    def __init__(self, probe, start_ns=1_000_000_000_000):
        self.probe, self.stamp_ns = probe, start_ns
        self.results = {}
        self.frames_of_tf = {}
        listen = probe.node.create_subscription
        listen(Detection3DArray, TRACKED, self._on_result, QoSProfile(depth=100))
        listen(TFMessage, TF, self._on_tf, QoSProfile(depth=100))
        self.estimates = probe.node.create_publisher(
            Detection3DArray, "/pose_node/detections", QoSProfile(depth=10)
        )

    def _on_result(self, message):
        self.results[conversions.stamp_ns_of(message.header)] = message

    def _on_tf(self, message):
        for transform in message.transforms:
            stamp = conversions.stamp_ns_of(transform.header)
            self.frames_of_tf.setdefault(stamp, set()).add(transform.child_frame_id)

    def start(self, parameters=None):
        arguments = [*INPUT_REMAPPINGS, "-r", "~/estimates:=/pose_node/detections"]
        parameters = {"objects_file": "unused", **QUICK, **(parameters or {})}
        child = self.probe.children.start(NODE, parameters, arguments, (str(DOUBLE),))
        self.wait_until_it_listens()
        return child

    def wait_until_it_listens(self):
        self.probe.wait_ready(NODE)
        self.probe.wait_for(
            lambda: (
                self.estimates.get_subscription_count() >= 1
                and all(p.get_subscription_count() >= 1 for p in self.probe.publishers)
            ),
            "the tracking node to listen",
        )

    def show(self, squares):
        """Send one frame with (colour, centre column, centre row) squares; what comes of it."""
        self.stamp_ns += FRAME_NS
        stamp = self.stamp_ns
        messages = self.probe.messages(*picture(squares), stamp_ns=stamp)
        self.probe.send(messages)
        self.probe.wait_for(lambda: stamp in self.results, f"the result of frame {stamp}")
        result = self.results[stamp]
        assert result.header == messages[0].header
        return result

    def show_until(self, squares, condition, what, seconds=10.0):
        """Go on with the same picture until a result is as wished."""
        for _ in range(int(1e9 * seconds / FRAME_NS)):
            result = self.show(squares)
            if condition(result):
                return result
        raise AssertionError(f"in {seconds} s of frames never {what}: {ids(result)}")

    def tell(self, squares, stamp_ns=None, frame_id=FRAME_ID):
        """What a pose node would say of a frame."""
        stamp_ns = stamp_ns or self.stamp_ns
        poses = PoseEstimates(
            tuple(
                PoseEstimate(CLASSES[colour], 0.75, pose_of(colour, column, row))
                for colour, column, row in squares
            ),
            stamp_ns,
            frame_id,
        )
        header = conversions.header_from(stamp_ns, frame_id)
        models = {model.name: model for model in doubles()}
        self.estimates.publish(conversions.detection_3d_array(poses, header, models))


def doubles():
    from ros.engine_double import models

    return models()


def picture(squares):
    rgb = np.full((60, 80, 3), 90, np.uint8)
    depth = np.full((60, 80), 2.0, np.float32)
    for colour, column, row in squares:
        place = slice(row - 5, row + 6), slice(column - 5, column + 6)
        rgb[place], depth[place] = colour, 1.0
    return rgb, depth


def pose_of(colour, column, row):
    """Where the square is, 1 m away, turned as the double of the pose node would say."""
    place = [(column - CAMERA.cx) / CAMERA.fx, (row - CAMERA.cy) / CAMERA.fy, 1.0]
    return se3.exp([*place, *TURNS[CLASSES[colour]]])


def ids(result):
    return [detection.id for detection in result.detections]


def seen(result):
    """Ids of the instances that the frame confirms: what is hidden fades."""
    return {d.id for d in result.detections if d.results[0].hypothesis.score > 0.79}


def columns(result):
    """Where the instances are, in pixels, by id."""
    place = {d.id: d.results[0].pose.pose.position for d in result.detections}
    return {name: p.x / p.z * CAMERA.fx + CAMERA.cx for name, p in place.items()}


@pytest.fixture
def world(probe):
    return World(probe)


def test_two_equal_objects_keep_their_ids_while_they_pass_and_are_estimated_anew(world):
    world.start()
    squares = [(RED, 15, 20), (RED, 60, 45), (GREEN, 40, 30)]
    world.show(squares)
    world.tell(squares)
    first = world.show_until(squares, lambda r: len(seen(r)) == 3, "three instances")
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
    world.show(squares)
    world.tell(squares)
    result = world.show_until(squares, lambda r: len(seen(r)) == 2, "both")
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
    world.show(squares)
    world.tell(squares)
    before = world.show_until(squares, lambda r: len(seen(r)) == 2, "both")
    (green,) = [name for name in ids(before) if name.startswith("green")]
    scores = []
    for _ in range(8):  # 0.26 s: less than hold_s
        held = {d.id: d for d in world.show(squares[:1]).detections}
        scores.append(held[green].results[0].hypothesis.score)
    assert scores == sorted(scores, reverse=True)
    assert 0 < scores[-1] < scores[0] < 0.8
    after = world.show(squares)
    assert green in seen(after)


def test_what_is_gone_is_lost_and_gets_its_id_back_when_it_is_found_again(world):
    world.start()
    squares = [(RED, 20, 30), (GREEN, 60, 30)]
    world.show(squares)
    world.tell(squares)
    before = world.show_until(squares, lambda r: len(seen(r)) == 2, "both")
    world.show_until(squares[:1], lambda r: len(ids(r)) == 1, "lost")
    for _ in range(3):
        assert len(ids(world.show(squares))) == 1, "back in view, but nobody has found it yet"
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
    world = World(probe, start_ns=0)
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
        assert seen(show_now(column)) == names, "nobody estimates, and all is followed"
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
    message = Detection3DArray(header=conversions.header_from(world.stamp_ns, FRAME_ID))
    poses = PoseEstimates((PoseEstimate("teapot", 0.9, np.eye(4)),), world.stamp_ns, FRAME_ID)
    (model, *_) = doubles()
    message = conversions.detection_3d_array(poses, message.header, {"teapot": model})
    world.estimates.publish(message)
    world.probe.wait_for(lambda: "teapot" in child.output(), "a complaint")
    assert ids(world.show(squares)) == []


def test_viewers_get_markers_and_overlays_at_their_rate_and_diagnostics_count_the_objects(world):
    probe = world.probe
    probe.listen("/diagnostics")
    views = {Image: [], MarkerArray: []}
    for (kind, messages), name in zip(views.items(), ("overlay", "markers"), strict=True):
        topic = f"/{NODE}/{name}"
        probe.node.create_subscription(kind, topic, messages.append, QoSProfile(depth=100))
    world.start({"view_rate_hz": 1.0})
    squares = [(RED, 20, 30), (GREEN, 60, 30)]
    world.show(squares)
    world.tell(squares)
    world.show_until(squares, lambda r: len(seen(r)) == 2, "both")
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
    world.show(squares)
    world.tell(squares)
    first = world.show_until(squares, lambda r: seen(r), "found")
    world.stamp_ns -= 100 * FRAME_NS  # a bag that is played again
    assert ids(world.show(squares)) == []
    world.tell(squares)
    second = world.show_until(squares, lambda r: seen(r), "found")
    assert set(ids(second)).isdisjoint(ids(first)), "an id never means two objects"


def test_every_setting_of_the_tracking_is_a_parameter_with_its_default():
    rows = {row.name: row.default for row in tracking_node.TRACKING_PARAMETERS}
    assert rows == {f"tracking.{f.name}": f.default for f in fields(TrackingConfig)}
