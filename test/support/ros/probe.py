"""The test's own node beside node processes: a camera, and subscriptions to all results."""

from __future__ import annotations

import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Bool
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection2DArray, Detection3DArray
from visualization_msgs.msg import MarkerArray

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.node.graph import Children
from sam6d_ros.apps.ros.node.qos import LATCHED
from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.msg import InstanceMaskArray, NodeStats

DOUBLE = Path(__file__).with_name("engine_double.py")
CAMERA = CameraIntrinsics(100.0, 100.0, 39.5, 29.5, 80, 60)
FRAME_ID = "test_optical_frame"
RGB, DEPTH, INFO = "/camera/rgb", "/camera/depth", "/camera/info"
INPUT_REMAPPINGS = [
    *("-r", f"~/rgb:={RGB}"),
    *("-r", f"~/depth:={DEPTH}"),
    *("-r", f"~/camera_info:={INFO}"),
    *("-r", "pose_node:~/masks:=/segmentation_node/masks"),
    *("-r", "pose_node:~/follow_objects:=/segmentation_node/objects"),
]
RESULTS = {
    "/segmentation_node/masks": InstanceMaskArray,
    "/segmentation_node/detections": Detection2DArray,
    "/segmentation_node/label_image": Image,
    "/pose_node/detections": Detection3DArray,
    "/pose_node/markers": MarkerArray,
    "/pose_node/overlay": Image,
    "/tf": TFMessage,
    "/diagnostics": DiagnosticArray,
    "/segmentation_node/stats": NodeStats,
    "/pose_node/stats": NodeStats,
}


def scene(colours=((255, 0, 0),), depth_m=1.0):
    """(rgb, depth) with one square of each colour before a grey background at 2 m."""
    rgb = np.full((60, 80, 3), 90, np.uint8)
    depth = np.full((60, 80), 2.0, np.float32)
    for number, colour in enumerate(colours):
        rows, cols = slice(20, 31), slice(10 + 30 * number, 21 + 30 * number)
        rgb[rows, cols], depth[rows, cols] = colour, depth_m
    return rgb, depth


class Probe:
    """The test's own node: a camera for the messages of the test, and subscriptions to results."""

    def __init__(self, domain_id: int, children: Children) -> None:
        self.children = children
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain_id)
        self.node = rclpy.create_node("probe", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.received = defaultdict(list)
        self.ready = set()
        self.defaults = {}  # parameters of every node of `start_double`
        qos = QoSProfile(depth=5)
        self.publishers = [
            self.node.create_publisher(kind, topic, qos)
            for kind, topic in ((Image, RGB), (Image, DEPTH), (CameraInfo, INFO))
        ]

    def listen(self, *topics: str) -> None:
        for topic in topics:
            self.node.create_subscription(
                RESULTS[topic], topic, self.received[topic].append, QoSProfile(depth=100)
            )

    def start_double(self, *nodes: str, parameters=None, arguments=()) -> list:
        """Start nodes around the engine double and wait until all of them hear the camera."""
        own = {"objects_file": "unused", "pair_timeout_s": 1.0, **self.defaults}
        parameters = {**own, **(parameters or {})}
        started = []
        for node in nodes:
            started.append(
                self.children.start(
                    node, parameters, [*arguments, *INPUT_REMAPPINGS], (str(DOUBLE), node)
                )
            )
        names = ("segmentation_node", "pose_node") if "pipeline" in nodes else nodes
        self.wait_ready(*names)
        self.wait_for(
            lambda: all(p.get_subscription_count() == len(names) for p in self.publishers),
            "the nodes to subscribe to the camera",
        )
        return started

    def wait_ready(self, *nodes: str, timeout_s: float = 30.0) -> None:
        for node in nodes:
            self.node.create_subscription(
                Bool, f"/{node}/ready", lambda m, n=node: m.data and self.ready.add(n), LATCHED
            )
        self.wait_for(lambda: self.ready >= set(nodes), f"{nodes} to be ready", timeout_s)

    def now_ns(self) -> int:
        return self.node.get_clock().now().nanoseconds

    def messages(self, rgb, depth, stamp_ns=None, encoding="16UC1"):
        header = conversions.header_from(stamp_ns or self.now_ns(), FRAME_ID)
        return [
            conversions.image_from_rgb(rgb, header),
            conversions.depth_image_from_metres(depth, header, encoding),
            conversions.camera_info_from_intrinsics(CAMERA, header),
        ]

    def send(self, messages) -> None:
        for publisher, message in zip(self.publishers, messages, strict=True):
            publisher.publish(message)

    def send_until(self, condition, what: str, messages) -> None:
        """Send one frame, and again every two seconds: a reader may have matched one side only."""
        due = 0.0

        def send() -> None:
            nonlocal due
            if time.monotonic() > due:
                self.send(messages)
                due = time.monotonic() + 2.0

        self.wait_for(condition, what, every=send)

    def wait_for(self, condition, what: str, timeout_s: float = 20.0, every=None) -> None:
        """Spin until the condition holds; ``every`` is called about ten times per second."""
        end, due = time.monotonic() + timeout_s, 0.0
        while not condition():
            self.children.check()
            logs = "\n".join(f"--- {c.name}\n{c.output()[-3000:]}" for c in self.children.running)
            assert time.monotonic() < end, f"no {what} after {timeout_s} s\n{logs}"
            if every and time.monotonic() > due:
                every()
                due = time.monotonic() + 0.1
            self.executor.spin_once(timeout_sec=0.05)

    def diagnostics(self, node: str) -> dict[str, str]:
        """The newest values that a node reported, with its summary as "message"."""
        for message in reversed(self.received["/diagnostics"]):
            for status in message.status:
                if status.name == node:
                    level = int.from_bytes(status.level, "little")
                    values = {v.key: v.value for v in status.values}
                    return {**values, "message": status.message, "level": level}
        return {}

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)
