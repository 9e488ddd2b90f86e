"""Nodes around doubles of the engines, a camera, and whatever else a test sends them."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from rclpy.qos import QoSProfile
from support.ros import probe as probe_module
from support.ros.forked import ForkedDoubles
from support.ros.probe import INPUT_REMAPPINGS, Probe, scene
from vision_msgs.msg import Detection3DArray

from sam6d_ros.apps.ros.camera.input import INPUTS
from sam6d_ros.apps.ros.node.graph import Child, graph_environment

ROS_TESTS = Path(probe_module.__file__).parent
PROGRAMS = {
    "segmentation_node": (str(ROS_TESTS / "engine_double.py"), "segmentation_node"),
    "pose_node": (str(ROS_TESTS / "engine_double.py"), "pose_node"),
    "pipeline": (str(ROS_TESTS / "engine_double.py"), "pipeline"),
    "tracking_node": (str(ROS_TESTS / "tracking_double.py"),),
}
MORE_REMAPPINGS = [
    *("-r", "tracking_node:~/estimates:=/pose_node/detections"),
    *("-r", "tracking_node:~/follow_objects:=/segmentation_node/objects"),
]
POSES, TRACKED = "/pose_node/detections", "/tracking_node/detections"
MASKS = "/segmentation_node/masks"
BOXES = ((255, 0, 0), (0, 255, 0))


class World:
    """A graph that is closed at the end of the context.

    Attributes:
        probe: the test's own node.
        nodes: the processes by name.
        tracebacks: "allowed" if the test makes nodes log some.
    """

    def __init__(self, domain_id: int, folder: Path) -> None:
        self.children = ForkedDoubles(graph_environment(domain_id, folder), folder)
        self.probe = Probe(domain_id, self.children)
        self.nodes: dict[str, Child] = {}
        self.tracebacks = ""
        self._publishers: dict[str, Any] = {}
        self.probe.listen(POSES, MASKS, "/diagnostics")
        self.probe.node.create_subscription(
            Detection3DArray, TRACKED, self.probe.received[TRACKED].append, QoSProfile(depth=100)
        )

    def start(self, *names: str, **parameters: object) -> World:
        """Start nodes, if any are named, and wait until poses come of them."""
        for name in names:
            self.start_node(name, **parameters)
        if names:
            self.probe.wait_ready(*names)
            self.poses_come()
        return self

    def start_node(self, name: str, program: str = "", **parameters: object) -> Child:
        """Start one node, without waiting; in another double of `test/support/ros` if named."""
        own = {"objects_file": "unused", "pair_timeout_s": 1.0, **parameters}
        own |= {f"{topic}.reliability": "reliable" for topic in INPUTS}
        arguments = [*INPUT_REMAPPINGS, *MORE_REMAPPINGS]
        self.nodes[name] = self.children.start(
            name, own, arguments, (str(ROS_TESTS / program), name) if program else PROGRAMS[name]
        )
        return self.nodes[name]

    @property
    def results(self) -> list[str]:
        """Topics on which results come."""
        return [POSES, *([TRACKED] if "tracking_node" in self.nodes else [])]

    def kill(self, name: str) -> None:
        """Kill a node as the kernel does."""
        child = self.nodes.pop(name)
        self.children.running.remove(child)
        os.kill(child.pid, signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL

    def send_frame(self) -> None:
        """Send one frame with both boxes."""
        self.probe.send(self.probe.messages(*scene(BOXES)))

    def poses_come(self, timeout_s: float = 20.0) -> None:
        """Send frames until a new message with both boxes has come on every topic."""
        first = {topic: len(self.probe.received[topic]) for topic in self.results}

        def all_new() -> bool:
            return all(
                any(len(m.detections) == len(BOXES) for m in self.probe.received[topic][number:])
                for topic, number in first.items()
            )

        self.probe.wait_for(all_new, "poses on every topic", timeout_s, every=self.send_frame)

    def publish(self, topic: str, message: Any) -> None:
        """Publish to a topic that a node reads."""
        if topic not in self._publishers:
            publisher = self.probe.node.create_publisher(type(message), topic, 10)
            self.probe.wait_for(publisher.get_subscription_count, f"a reader of {topic}")
            self._publishers[topic] = publisher
        self._publishers[topic].publish(message)

    def problem_of(self, node: str) -> str:
        """Error and input problem of a node's newest diagnostics."""
        shown = self.probe.diagnostics(f"/{node}")
        return f"{shown.get('last_error', '')} {shown.get('input_problem', '')}"

    def wait_for_problem(self, node: str, text: str, every: Any = None) -> None:
        """Wait until the diagnostics of a node contain a text."""
        what = f"{text!r} of {node}"
        self.probe.wait_for(lambda: text in self.problem_of(node), what, every=every)

    def check_the_end(self) -> None:
        """Every node has ended well, and printed no traceback."""
        for child in self.children.running:
            assert child.wait() == 0, f"{child.name}:\n{child.output()[-3000:]}"
            if self.tracebacks != "allowed":
                assert "Traceback" not in child.output(), child.output()[-3000:]

    def __enter__(self) -> World:
        return self

    def __exit__(self, *error: object) -> None:
        self.children.stop()
        self.probe.close()
