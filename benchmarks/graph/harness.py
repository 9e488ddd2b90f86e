"""A camera, the nodes and a reader of the results, for measurements of the running graph."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import Bool
from vision_msgs.msg import Detection3DArray

from sam6d_ros.apps.ros.conversions import stamp_ns_of
from sam6d_ros.apps.ros.demo.run import CAMERA_NS, REMAPPINGS
from sam6d_ros.apps.ros.node.graph import Children
from sam6d_ros.apps.ros.node.qos import LATCHED, RESULTS

REMAPPING_ARGUMENTS = [word for old, new in REMAPPINGS.items() for word in ("-r", f"{old}:={new}")]
READY_TIMEOUT_S = 300.0


class Reader:
    """Notes when each result arrives: (stamp of its image, arrival), in seconds of one clock."""

    def __init__(self, domain_id: int, topics: Sequence[str], ready_topics: Sequence[str]) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        self._node = rclpy.create_node("benchmark_reader", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self.arrivals: dict[str, list[tuple[float, float]]] = {topic: [] for topic in topics}
        self._not_ready = set(ready_topics)
        for topic in topics:
            note = partial(self._note, self.arrivals[topic])
            self._node.create_subscription(Detection3DArray, topic, note, RESULTS)
        for name in ready_topics:
            self._node.create_subscription(Bool, name, self._ready_callback(name), LATCHED)

    def ages_ms(self, topic: str) -> np.ndarray:
        """Age of every result when it arrived, milliseconds since its image's stamp."""
        return np.array([1e3 * (arrived - stamp) for stamp, arrived in self.arrivals[topic]])

    def ready(self) -> bool:
        """Whether every node has said so."""
        return not self._not_ready

    def wait_for(
        self, condition: Callable[[], bool], children: Children, timeout_s: float = READY_TIMEOUT_S
    ) -> None:
        """Spin until the condition holds.

        Raises:
            TimeoutError: it did not within the time.
            ChildDied: a node ended.
        """
        end = time.monotonic() + timeout_s
        while not condition():
            children.check()
            if time.monotonic() > end:
                raise TimeoutError(f"waited {timeout_s:.0f} s; expected the condition to hold")
            self._executor.spin_once(timeout_sec=0.2)

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    @staticmethod
    def _note(arrivals: list[tuple[float, float]], message: Detection3DArray) -> None:
        arrivals.append((1e-9 * stamp_ns_of(message.header), time.time()))

    def _ready_callback(self, name: str) -> Callable[[Bool], None]:
        return lambda message: self._not_ready.discard(name) if message.data else None


def start_camera(
    children: Children, folder: Path, rate_hz: float, wait_for: Sequence[str], subscribers: int
) -> None:
    """A camera made of the files of a folder, best effort as camera drivers are."""
    parameters = {
        "path": folder,
        "rate_hz": rate_hz,
        "reliability": "best_effort",
        "wait_for": list(wait_for),
        "wait_for_subscribers": subscribers,
    }
    children.start("replay_node", parameters, ["-r", f"__ns:={CAMERA_NS}"])


def write_noise_frames(folder: Path, width: int, height: int, count: int = 4) -> Path:
    """A folder of frames that no transport can compress, for the camera made of files."""
    rng = np.random.default_rng(0)
    for kind in ("rgb", "depth"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for index in range(count):
        rgb = rng.integers(0, 255, (height, width, 3), np.uint8)
        depth = rng.integers(500, 1500, (height, width), np.uint16)
        cv2.imwrite(str(folder / f"rgb/{index:06d}.png"), rgb)
        cv2.imwrite(str(folder / f"depth/{index:06d}.png"), depth)
    camera = {
        "fx": 0.9 * width,
        "fy": 0.9 * width,
        "cx": width / 2,
        "cy": height / 2,
        "width": width,
        "height": height,
        "depth_scale": 1.0,
    }
    (folder / "camera.json").write_text(json.dumps(camera))
    return folder
