"""Faults of the chaos bench: hostile messages, requests, transitions and halted processes."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

import rclpy
from builtin_interfaces.msg import Time
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose

from sam6d_ros.apps.ros.demo.run import REMAPPINGS
from sam6d_ros.apps.ros.node.graph import Child
from sam6d_ros.msg import InstanceMask, InstanceMaskArray
from sam6d_ros.srv import AddObject

TOPICS = {
    REMAPPINGS["~/rgb"]: Image,
    REMAPPINGS["~/depth"]: Image,
    REMAPPINGS["~/camera_info"]: CameraInfo,
    "/segmentation_node/masks": InstanceMaskArray,
    "/segmentation_node/masks/in_work": Header,
    "/pose_node/detections": Detection3DArray,
}
HALT_S = 0.5  # of a process


class Faults:
    """Source of random faults against running nodes, with one node of its own.

    Args:
        domain_id: DDS domain of the graph.
        nodes: processes by node name.
        seed: of the choice.
    """

    def __init__(self, domain_id: int, nodes: Mapping[str, Child], seed: int) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        self._node = rclpy.create_node("chaos", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._nodes, self._random = nodes, random.Random(seed)
        self._publishers = {
            topic: self._node.create_publisher(kind, topic, 10) for topic, kind in TOPICS.items()
        }
        self._add = [
            self._node.create_client(AddObject, f"/{name}/add_object") for name in self._nodes
        ]
        self.counts: dict[str, int] = {}

    def one(self) -> str:
        """Do one fault; return its kind."""
        kinds: list[Callable[[], None]] = [
            *[self.bad_stamp] * 4, *[self.bad_image] * 4, *[self.bad_masks] * 3,
            *[self.bad_estimates] * 2, self.bad_object, self.transitions, self.halt,
        ]  # fmt: skip
        kind = self._random.choice(kinds)
        kind()
        self.counts[kind.__name__] = self.counts.get(kind.__name__, 0) + 1
        self._executor.spin_once(timeout_sec=0.0)
        return kind.__name__

    def _header(self) -> Header:
        now = time.time_ns()
        return Header(
            stamp=Time(sec=now // 10**9, nanosec=now % 10**9),
            frame_id=self._random.choice(["", "nowhere", "camera"]),
        )

    def _send(self, topic: str, message: Any) -> None:
        self._publishers[topic].publish(message)

    def bad_stamp(self) -> None:
        """A negative, far or unnormalised stamp on any topic."""
        stamp = self._random.choice(
            [Time(sec=-1), Time(sec=-(2**31)), Time(sec=2**31 - 1), Time(nanosec=2**32 - 1)]
        )
        topic = self._random.choice([*TOPICS])
        header = Header(stamp=stamp, frame_id="camera")
        self._send(topic, header if TOPICS[topic] is Header else TOPICS[topic](header=header))

    def bad_image(self) -> None:
        """An image whose sizes, encoding and data contradict one another."""
        topic = self._random.choice([t for t, kind in TOPICS.items() if kind is Image])
        image = Image(header=self._header(), encoding=self._random.choice(["rgb8", "16UC1", "x"]))
        image.height, image.width, image.step = (
            self._random.choice([0, 1, 480, 2**32 - 1]) for _ in range(3)
        )
        image.data = bytes(self._random.choice([0, 7, 10_000]))
        self._send(topic, image)

    def bad_masks(self) -> None:
        """Many masks, or masks of an image of another size."""
        size = self._random.choice([0, 480, 50_000])
        message = InstanceMaskArray(header=self._header(), height=size, width=size)
        for number in range(self._random.choice([1, 300])):
            message.instances.append(InstanceMask(class_id="?", id=str(number), score=2.0))
        self._send("/segmentation_node/masks", message)

    def bad_estimates(self) -> None:
        """Detections without a result, or with a pose that is none."""
        entry = Detection3D(id="x" * self._random.choice([0, 1, 5000]))
        if self._random.random() < 0.7:
            result = ObjectHypothesisWithPose()
            result.pose.pose.position.x = self._random.choice([float("nan"), float("inf"), 1e300])
            entry.results = [result]
        message = Detection3DArray(header=self._header(), detections=[entry])
        self._send("/pose_node/detections", message)

    def bad_object(self) -> None:
        """An object that cannot be loaded."""
        mesh = self._random.choice(["/dev/zero", "/nowhere.ply", "/tmp", "x" * 5000])
        options = self._random.choice(["", "[" * 1000, "a: &a [*a]"])
        request = AddObject.Request(name="bad", mesh=mesh, unit="m", options=options)
        self._random.choice(self._add).call_async(request)

    def transitions(self) -> None:
        """Deactivate and activate a node, while all messages go on."""
        name = self._random.choice([*self._nodes])
        client = self._node.create_client(ChangeState, f"/{name}/change_state")
        for step in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE):
            request = ChangeState.Request(transition=Transition(id=step))
            future = client.call_async(request)
            self._executor.spin_until_future_complete(future, timeout_sec=20.0)
        self._node.destroy_client(client)

    def halt(self) -> None:
        """Stop a process for a moment, as a machine that is overloaded does."""
        pid = self._random.choice([*self._nodes.values()]).pid
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(HALT_S)
        finally:
            os.kill(pid, signal.SIGCONT)

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)
