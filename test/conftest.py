"""Shared by all tests: a ROS graph of its own, and waits for conditions."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import suite_order
from support.clocks import Clock

from sam6d_ros.apps.compiled_loops import keep_compiled_loops
from sam6d_ros.apps.ros.node.domain import own_domain

keep_compiled_loops()  # one folder for the workers and the processes that tests start

REPO = Path(__file__).resolve().parent.parent
# Examples have no time limit: on a busy machine any of them exceeds the default of 0.2 s.
hypothesis.settings.register_profile("sam6d_ros", deadline=None)
hypothesis.settings.load_profile("sam6d_ros")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    suite_order.distribute(items, REPO / "test")


@pytest.fixture(scope="session", autouse=True)
def ros_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep this run's graph, and that of its child processes, apart from any other on the host."""
    with pytest.MonkeyPatch.context() as patch, own_domain() as domain_id:
        patch.setenv("OPENCV_IO_ENABLE_OPENEXR", "1")  # as the apps do, see apps/environment.py
        patch.setenv("OMP_WAIT_POLICY", "PASSIVE")  # as the apps do, see apps/threads.py
        patch.setenv("ROS_DOMAIN_ID", str(domain_id))
        patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        patch.setenv("ROS_LOG_DIR", str(tmp_path_factory.mktemp("ros_log")))
        patch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", str(REPO / "config/fastdds.xml"))
        yield


@pytest.fixture(scope="module", autouse=True)
def quick_collection() -> None:
    """Keep what earlier modules left out of each collection of garbage.

    With all libraries loaded a collection takes half a second, and closing a model is one.
    """
    gc.collect()
    gc.freeze()


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
            assert time.monotonic() < end, f"no {what} after {timeout_s} s"
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
