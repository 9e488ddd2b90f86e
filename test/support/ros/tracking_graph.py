"""A tracking node between a camera and a pose node that the test plays, frame by frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rclpy.qos import QoSProfile
from support.ros.engine_double import TURNS, models
from support.ros.probe import CAMERA, FRAME_ID, INPUT_REMAPPINGS
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray

from sam6d_ros.apps.ros import conversions
from sam6d_ros.geometry import se3
from sam6d_ros.types import PoseEstimate, PoseEstimates

DOUBLE = Path(__file__).with_name("tracking_double.py")
NODE = "tracking_node"
RED, GREEN = (255, 0, 0), (0, 255, 0)
CLASSES = {RED: "red_box", GREEN: "green_box"}
FRAME_NS = 33_000_000
QUICK = {"tracking.coast_s": 0.4, "tracking.reidentify_s": 60.0}


class Graph:
    """Sends frames, one after the other's result, and estimates; keeps all results by stamp."""

    def __init__(self, probe, start_ns=1_000_000_000_000):
        self.probe, self.stamp_ns = probe, start_ns
        self.results, self.frames_of_tf = {}, {}
        listen = probe.node.create_subscription
        listen(Detection3DArray, f"/{NODE}/detections", self._on_result, QoSProfile(depth=100))
        listen(TFMessage, "/tf", self._on_tf, QoSProfile(depth=100))
        self.estimates = probe.node.create_publisher(
            Detection3DArray, "/pose_node/detections", QoSProfile(depth=10)
        )

    def _on_result(self, message):
        self.results[conversions.stamp_ns_of(message.header)] = message

    def _on_tf(self, message):
        for transform in message.transforms:
            stamp = conversions.stamp_ns_of(transform.header)
            self.frames_of_tf.setdefault(stamp, set()).add(transform.child_frame_id)

    def start(self, parameters, program=(), timeout_s=30.0):
        """Start the node, or another program, and wait for its subscriptions."""
        arguments = [
            *INPUT_REMAPPINGS,
            *("-r", "~/estimates:=/pose_node/detections"),
            *("-r", "~/follow_objects:=/segmentation_node/objects"),
        ]
        child = self.probe.children.start(NODE, {**QUICK, **parameters}, arguments, program)
        self.probe.wait_ready(NODE, timeout_s=timeout_s)
        self.wait_until_heard()
        return child

    def wait_until_heard(self):
        """By the node's subscriptions, which it has while it is active."""
        topics = (self.estimates, *self.probe.publishers)
        self.probe.wait_for(
            lambda: all(topic.get_subscription_count() for topic in topics),
            "the tracking node to listen",
        )

    def show(self, messages):
        """Send one frame and wait for what comes of it."""
        stamp = conversions.stamp_ns_of(messages[0].header)
        result = f"the result of frame {stamp}"
        self.probe.send_until(lambda: stamp in self.results, result, messages)
        result = self.results[stamp]
        assert result.header == messages[0].header
        return result

    def tell(self, items, known, stamp_ns=None, frame_id=FRAME_ID):
        """Publish estimates of a frame, by default the last one, as a pose node would.

        Args:
            items: the poses.
            known: models of at least their classes, by name.
        """
        stamp_ns = stamp_ns or self.stamp_ns
        header = conversions.header_from(stamp_ns, frame_id)
        poses = PoseEstimates(tuple(items), stamp_ns, frame_id)
        self.estimates.publish(conversions.detection_3d_array(poses, header, known))


class Squares(Graph):
    """Coloured squares before a grey wall, for the double of the tracker."""

    models = {model.name: model for model in models()}  # noqa: RUF012 - never changed

    def start(self, parameters=None):
        return super().start({"objects_file": "unused", **(parameters or {})}, (str(DOUBLE),))

    def show(self, squares):
        """Send one frame with (colour, centre column, centre row) squares; what comes of it."""
        self.stamp_ns += FRAME_NS
        rgb = np.full((60, 80, 3), 90, np.uint8)
        depth = np.full((60, 80), 2.0, np.float32)
        for colour, column, row in squares:
            place = slice(row - 5, row + 6), slice(column - 5, column + 6)
            rgb[place], depth[place] = colour, 1.0
        return super().show(self.probe.messages(rgb, depth, stamp_ns=self.stamp_ns))

    def show_until(self, squares, condition, what, seconds=10.0):
        """Go on with the same picture until a result is as wished."""
        for _ in range(int(1e9 * seconds / FRAME_NS)):
            result = self.show(squares)
            if condition(result):
                return result
        raise AssertionError(f"in {seconds} s of frames never {what}: {ids(result)}")

    def find(self, squares):
        """Show squares and tell of them; the first result in which all are seen."""
        self.show(squares)
        self.tell(squares)
        return self.show_until(squares, lambda r: len(seen(r)) == len(squares), "all of them")

    def tell(self, squares, **options):
        items = [
            PoseEstimate(CLASSES[colour], 0.75, pose_of(colour, column, row))
            for colour, column, row in squares
        ]
        super().tell(items, self.models, **options)


def pose_of(colour, column, row):
    """Pose of a square, 1 m away, with the rotation of the double of the pose node."""
    place = [(column - CAMERA.cx) / CAMERA.fx, (row - CAMERA.cy) / CAMERA.fy, 1.0]
    return se3.exp([*place, *TURNS[CLASSES[colour]]])


def ids(result):
    """Of all instances, also of those that are held."""
    return [detection.id for detection in result.detections]


def scores(result):
    """The instances' scores by id."""
    return {d.id: d.results[0].hypothesis.score for d in result.detections}


def seen(result):
    """Ids of the instances that the frame confirms: with the double, what is held scores less."""
    return {name for name, score in scores(result).items() if score > 0.79}


def columns(result):
    """Where the instances are, in pixels, by id."""
    place = {d.id: d.results[0].pose.pose.position for d in result.detections}
    return {name: p.x / p.z * CAMERA.fx + CAMERA.cx for name, p in place.items()}
