"""One Ray cluster of two nodes on this machine for all tests of this folder."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from support.fleet_frames import IMAGES, write_frames

if find_spec("ray") is None:  # an import would fix its settings
    pytest.skip("missing: pip install -e '.[fleet]'", allow_module_level=True)

STORE_BYTES = 80 * 2**20  # of each node, in /dev/shm


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.fleet)
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def fleet_environment() -> Iterator[None]:
    """A token of this run alone; to be set before Ray is imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # Ray sees a few workers die on purpose here, and must not take the machine for full.
        patch.setenv("RAY_memory_monitor_refresh_ms", "0")
        yield


@pytest.fixture(scope="session")
def cluster(fleet_environment: None) -> Iterator[Any]:
    """A head node with room for one worker, and another node like it."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": STORE_BYTES, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
    yield cluster
    cluster.shutdown()


@pytest.fixture
def second_node(cluster: Any) -> Any:
    """The node beside the head; a test may kill it."""
    if cluster.worker_nodes:
        return next(iter(cluster.worker_nodes))
    return cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)


@pytest.fixture(scope="session")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dataset of ``IMAGES`` images of one object; beside it the cache folder of all runs."""
    return write_frames(tmp_path_factory.mktemp("fleet") / "set", IMAGES)
