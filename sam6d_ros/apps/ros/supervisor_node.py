"""``supervisor_node``: brings nodes back to their lifecycle state after a death or an error.

It reads the heartbeats of its namespace. A launch file starts dead processes again (``respawn``);
this node then requests the transitions that lead to the state in which each node was before.
"""

from __future__ import annotations

from sam6d_ros.apps.interrupts import end_process
from sam6d_ros.apps.ros.node.missing_ros import exit_without_ros

if __name__ == "__main__":
    exit_without_ros("supervisor_node")  # before the imports that need ROS 2

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.client import Client
from rclpy.node import Node
from rclpy.task import Future

from sam6d_ros.apps.ros.node import spin, topics
from sam6d_ros.apps.ros.node.heartbeat import beat_of, is_announced
from sam6d_ros.apps.ros.node.qos import RESULTS
from sam6d_ros.runtime.peers import MAX_PEERS, Beat
from sam6d_ros.runtime.restoration import ACTIVATE, CONFIGURE, Restoration

TRANSITIONS = {
    CONFIGURE: Transition.TRANSITION_CONFIGURE,
    ACTIVATE: Transition.TRANSITION_ACTIVATE,
}
# A transition that is not answered by then never will be: the node died over it.
LOST_AFTER_S = 600.0


@dataclass
class Supervised:
    """One node: its restoration, the client of its transitions, the request in progress."""

    client: Client
    restoration: Restoration = field(default_factory=Restoration)
    instance: str = ""
    request: Future | None = None
    since: float = 0.0

    def is_busy(self, beat: Beat) -> bool:
        """Whether this process of the node has a transition in progress."""
        lost = self.instance != beat.instance or time.monotonic() - self.since > LOST_AFTER_S
        return self.request is not None and not self.request.done() and not lost


class SupervisorNode(Node):
    """Lifecycle manager that restores states, and requests no other transition."""

    def __init__(self, cli_args: Sequence[str] | None = None) -> None:
        super().__init__("supervisor_node", cli_args=list(cli_args or ()))
        self._nodes: dict[str, Supervised] = {}
        self.create_subscription(DiagnosticStatus, topics.HEARTBEAT, self._heard, RESULTS)

    def _heard(self, message: DiagnosticStatus) -> None:
        beat = beat_of(message)
        node = self._nodes.get(beat.name) or self._added(beat.name)
        if node is None or node.is_busy(beat):
            return
        transition = node.restoration.observe(beat)
        if transition and node.client.service_is_ready():
            self._request(node, beat, transition)

    def _added(self, name: str) -> Supervised | None:
        """Take on a node; names without a node and those beyond the limit are refused."""
        if len(self._nodes) >= MAX_PEERS or not is_announced(self, name):
            return None
        client = self.create_client(ChangeState, f"{name}/change_state")
        self._nodes[name] = Supervised(client)
        self.get_logger().info(f"watching {name}")
        return self._nodes[name]

    def _request(self, node: Supervised, beat: Beat, transition: str) -> None:
        self.get_logger().warning(f"{beat.name} is {beat.lifecycle}: requested {transition}")
        wanted = ChangeState.Request(transition=Transition(id=TRANSITIONS[transition]))
        if node.request is not None:
            node.client.remove_pending_request(node.request)
        node.request, node.instance, node.since = (
            node.client.call_async(wanted),
            beat.instance,
            time.monotonic(),
        )
        node.request.add_done_callback(partial(self._answered, beat.name, transition))

    def _answered(self, name: str, transition: str, answer: Future) -> None:
        if answer.exception() is None and not answer.cancelled() and answer.result().success:
            self.get_logger().info(f"{name}: {transition} succeeded")
        else:
            self.get_logger().warning(f"{name}: {transition} failed; see its diagnostics")


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of the executable."""
    return spin.run([SupervisorNode], args)


if __name__ == "__main__":
    end_process(main())
