"""The tracking node with a pose buffer, over DDS: hidden instances stay in the fixed frame."""

import json

import numpy as np
from geometry_msgs.msg import TransformStamped
from rclpy.qos import QoSProfile
from std_msgs.msg import String
from support.ros.probe import CAMERA, FRAME_ID
from support.ros.tracking_graph import (
    FRAME_NS,
    GREEN,
    NODE,
    RED,
    Graph,
    Squares,
    ids,
    pose_of,
    seen,
)
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster
from vision_msgs.msg import Detection3DArray

from sam6d_ros.apps.ros.conversions import header_from, stamp_ns_of
from sam6d_ros.apps.ros.conversions.rigid import pose_message, transform_from_pose
from sam6d_ros.geometry import se3
from sam6d_ros.types import PoseEstimate

STEP_PX, STEPS = 1, 24  # of the camera to the right: 1 cm at 1 m
COVARIANCE = np.diag([1e-6, 1e-6, 4e-6, 1e-4, 1e-4, 1e-4])
FIXED, FIXED_FROM_CAM = "world", se3.exp([0.4, 0.1, 1.2, 0.3, -2.0, 0.5])


def broadcast(node):
    """Send the place of the camera; the broadcaster must live."""
    message = TransformStamped(child_frame_id=FRAME_ID)
    message.header.frame_id = FIXED
    pose = pose_message(FIXED_FROM_CAM)
    shift, place = message.transform.translation, pose.position
    shift.x, shift.y, shift.z = place.x, place.y, place.z
    message.transform.rotation = pose.orientation
    broadcaster = StaticTransformBroadcaster(node)
    broadcaster.sendTransform(message)
    return broadcaster


def dark(world):
    """Show a frame without depth; return what is tracked."""
    world.stamp_ns += FRAME_NS
    images = np.full((60, 80, 3), 90, np.uint8), np.zeros((60, 80), np.float32)
    return Graph.show(world, world.probe.messages(*images, stamp_ns=world.stamp_ns))


def test_instances_stay_in_the_fixed_frame_when_their_tracks_end(probe):
    world, poses, infos = Squares(probe), {}, {}
    listen = probe.node.create_subscription
    every = QoSProfile(depth=100)
    listen(
        Detection3DArray,
        f"/{NODE}/buffer",
        lambda m: poses.update({stamp_ns_of(m.header): m}),
        every,
    )
    listen(String, f"/{NODE}/buffer_info", lambda m: infos.update(last=json.loads(m.data)), every)
    broadcaster = broadcast(probe.node)
    world.start({"pose_buffer": FIXED, "tf_timeout_s": 1.0})
    squares = [(RED, 20, 30), (GREEN, 60, 30)]
    tracked = world.find(squares)
    names = set(ids(tracked))
    probe.wait_for(
        lambda: {row["id"] for row in infos.get("last", [])} == names,
        "the buffer",
        every=lambda: world.show(squares),
    )
    result = world.show(squares)
    probe.wait_for(lambda: world.stamp_ns in poses, "the buffer of this frame")
    message, seen_ns = poses[world.stamp_ns], world.stamp_ns
    assert message.header.frame_id == FIXED
    there = {d.id: transform_from_pose(d.results[0].pose.pose) for d in message.detections}
    for here in result.detections:
        expected = FIXED_FROM_CAM @ transform_from_pose(here.results[0].pose.pose)
        np.testing.assert_allclose(there[here.id], expected, atol=1e-4)
    assert {row["views"] for row in infos["last"]} == {1}
    while ids(dark(world)):
        pass
    probe.wait_for(lambda: world.stamp_ns in poses, "the buffer of this frame")
    kept = poses[world.stamp_ns].detections
    assert {d.id for d in kept} == names
    assert max(stamp_ns_of(d.header) for d in kept) <= seen_ns + FRAME_NS
    probe.wait_for(
        lambda: all(row["age_s"] >= 0.3 for row in infos["last"]),
        "an age",
        every=lambda: dark(world),
    )
    assert broadcaster is not None


class MovingCamera(Squares):
    """A camera that moves to the right, its place on TF for every frame."""

    def __init__(self, probe):
        super().__init__(probe)
        self.poses, self.infos, self.column, self._x_m = {}, {}, 60, 0.0
        self._motion = TransformBroadcaster(probe.node)
        listen, every = probe.node.create_subscription, QoSProfile(depth=100)
        listen(Detection3DArray, f"/{NODE}/buffer", self._on_buffer, every)
        listen(String, f"/{NODE}/buffer_info", self._on_info, every)

    def _on_buffer(self, message):
        self.poses[stamp_ns_of(message.header)] = message.detections

    def _on_info(self, message):
        self.infos["last"] = json.loads(message.data)

    @property
    def squares(self):
        return [(RED, self.column, 30)]

    def show(self, squares):
        transform = TransformStamped(child_frame_id=FRAME_ID)
        transform.header = header_from(self.stamp_ns + FRAME_NS, FIXED)
        transform.transform.translation.x = self._x_m
        self._motion.sendTransform(transform)
        return super().show(squares)

    def step(self):
        self.column -= STEP_PX
        self._x_m += STEP_PX / CAMERA.fx
        return self.show(self.squares)

    def buffered(self):
        """The instances of this frame, once they have come."""
        self.probe.wait_for(lambda: self.stamp_ns in self.poses, "the buffer of this frame")
        return self.poses[self.stamp_ns]


def test_a_moving_camera_adds_views_and_what_it_looks_through_is_forgotten(probe):
    world = MovingCamera(probe)
    world.start({"pose_buffer": FIXED, "tf_timeout_s": 2.0})
    world.show(world.squares)
    told = PoseEstimate("red_box", 0.75, pose_of(*world.squares[0]), COVARIANCE)
    Graph.tell(world, [told], world.models)
    world.show_until(world.squares, lambda r: len(seen(r)) == 1, "the square")
    probe.wait_for(
        lambda: world.infos.get("last"), "the buffer", every=lambda: world.show(world.squares)
    )
    (first,) = world.buffered()
    for _ in range(STEPS):
        world.step()
    (last,) = world.buffered()
    here, there = (transform_from_pose(d.results[0].pose.pose) for d in (first, last))
    np.testing.assert_allclose(there, here, atol=0.015)  # at rest, though its image moved by 24 px
    single, fused = (np.reshape(d.results[0].pose.covariance, (6, 6)) for d in (first, last))
    assert 0 < np.trace(fused) < np.trace(single) / 2
    probe.wait_for(
        lambda: [row["views"] >= 4 and row["age_s"] == 0 for row in world.infos["last"]] == [True],
        "four views",
    )
    probe.wait_for(lambda: world.infos["last"] == [], "the end", every=lambda: world.show([]))
    assert not world.buffered()


def test_without_the_parameter_there_is_no_buffer(probe):
    Squares(probe).start()
    topics = [name for name, _ in probe.node.get_topic_names_and_types()]
    assert f"/{NODE}/detections" in topics
    assert f"/{NODE}/buffer" not in topics
