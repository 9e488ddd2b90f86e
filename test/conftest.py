"""What every test shares: a ROS graph of its own, and a way to wait for things to happen."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from clocks import Clock

REPO = Path(__file__).resolve().parent.parent
DOMAINS = range(1, 100)  # above 101 the ports collide with Linux's ephemeral ones


@pytest.fixture(scope="session", autouse=True)
def ros_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep this run's graph, and that of its child processes, apart from any other on the host."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENCV_IO_ENABLE_OPENEXR", "1")  # as the apps do, see apps/environment.py
        patch.setenv("OMP_WAIT_POLICY", "PASSIVE")  # as the apps do, see apps/threads.py
        patch.setenv("ROS_DOMAIN_ID", str(DOMAINS[os.getpid() % len(DOMAINS)]))
        patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        patch.setenv("ROS_LOG_DIR", str(tmp_path_factory.mktemp("ros_log")))
        patch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", str(REPO / "config/fastdds.xml"))
        yield


@pytest.fixture
def clock() -> Clock:
    return Clock()


class RosGraph:
    """Nodes of one test in one context, with one executor that the test itself spins."""

    def __init__(self) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)

    def node(self, name: str, **kwargs: Any) -> Any:
        """A new node that `wait_for` will spin."""
        import rclpy

        node = rclpy.create_node(name, context=self.context, **kwargs)
        self.executor.add_node(node)
        return node

    def wait_for(self, condition: Callable[[], object], what: str, timeout_s: float = 20.0) -> None:
        """Spin until `condition()` holds; fail with `what` was awaited when it never does."""
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, f"waited {timeout_s} s in vain for {what}"
            self.executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        """Destroy the nodes and end the context."""
        import rclpy

        for node in self.executor.get_nodes():
            node.destroy_node()
        self.executor.shutdown()
        rclpy.shutdown(context=self.context)


@pytest.fixture
def ros() -> Iterator[RosGraph]:
    """A ROS graph for one test: `ros.node(name)`, `ros.wait_for(condition, what)`."""
    graph = RosGraph()
    yield graph
    graph.close()
