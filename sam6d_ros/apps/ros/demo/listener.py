"""Node that collects readiness, poses and diagnostics of a running graph."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from diagnostic_msgs.msg import DiagnosticArray
from std_msgs.msg import Bool
from vision_msgs.msg import Detection3DArray

from sam6d_ros.apps.ros.conversions import poses_from_detection_3d_array
from sam6d_ros.apps.ros.node import topics
from sam6d_ros.apps.ros.node.qos import LATCHED, RESULTS
from sam6d_ros.apps.ros.node.session import GraphSession
from sam6d_ros.runtime.states import State
from sam6d_ros.types import PoseEstimates

RESULTS_WANTED = 1


class Listener(GraphSession):
    """Subscriptions to the results of the nodes.

    Args:
        domain_id: DDS domain of the graph.
        ready_topics: latched topics that report when each node is ready.
    """

    def __init__(self, domain_id: int, ready_topics: Sequence[str]) -> None:
        super().__init__("listener", domain_id=domain_id)
        self._missing = set(ready_topics)
        self._results: list[PoseEstimates] = []
        self._load_failure = ""
        for topic in ready_topics:
            self.node.create_subscription(Bool, topic, self._ready_callback(topic), LATCHED)
        self.node.create_subscription(
            Detection3DArray,
            topics.of_node("pose_node", topics.DETECTIONS),
            self._on_result,
            RESULTS,
        )
        self.node.create_subscription(
            DiagnosticArray, topics.DIAGNOSTICS, self._on_diagnostics, RESULTS
        )

    def all_ready(self) -> bool:
        """Whether every node has reported that it is ready."""
        return not self._missing

    def has_result(self) -> bool:
        """Whether poses of an image came, were it none."""
        return len(self._results) >= RESULTS_WANTED

    def best_result(self) -> PoseEstimates:
        """The message with the most poses."""
        return max(self._results, key=len)

    def load_failure(self) -> str:
        """Return the reason of a node that cannot load; empty if there is none."""
        return self._load_failure

    def wait_for(
        self, condition: Callable[[], bool], check: Callable[[], None], timeout_s: float
    ) -> bool:
        """Spin until the condition holds (True) or the time is over (False)."""
        end = time.monotonic() + timeout_s
        while not condition():
            check()
            if time.monotonic() > end:
                return False
            self.spin_once()
        return True

    def _ready_callback(self, topic: str) -> Callable[[Bool], None]:
        def note(message: Bool) -> None:
            if message.data:
                self._missing.discard(topic)

        return note

    def _on_result(self, message: Detection3DArray) -> None:
        self._results.append(poses_from_detection_3d_array(message))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.message.startswith(State.LOAD_FAILED.value):
                self._load_failure = f"{status.name}: {status.message}"
