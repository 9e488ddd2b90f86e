"""A graph of node processes with a probe in the test's own process, one domain per test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.ros.asking import MASKS, POSES, Asking
from support.ros.forked import ForkedDoubles
from support.ros.grasp_graph import Graph, write_files
from support.ros.probe import Probe

from sam6d_ros.apps.ros.camera.input import INPUTS
from sam6d_ros.apps.ros.node.domain import own_domain
from sam6d_ros.apps.ros.node.graph import graph_environment


class _Last:
    domain_id = os.getpid()


HELD_DOUBLE = Path(__file__).parents[2] / "support/ros/held_double.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "probe" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.graph)


@pytest.fixture
def graph_domain():
    """A domain of the test; the next test gets one behind it."""
    with own_domain(_Last.domain_id) as domain_id:
        _Last.domain_id = domain_id
        yield domain_id


@pytest.fixture
def probe(tmp_path, monkeypatch, graph_domain):
    """A probe in a domain that no other test on this machine uses at the same time."""
    environment = graph_environment(graph_domain, tmp_path)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with ForkedDoubles(environment, tmp_path) as children:
        probe = Probe(graph_domain, children)
        yield probe
        probe.close()
    for child in children.running:
        assert child.wait() == 0, f"{child.name} did not end well:\n{child.output()[-3000:]}"
        assert "Traceback" not in child.output(), child.output()[-3000:]


@pytest.fixture
def asking(probe, tmp_path, monkeypatch):
    """A probe with clients of everything that can be asked; the double's stages can be held."""
    probe.children.env["HELD_STAGES"] = str(tmp_path)
    monkeypatch.setattr("support.ros.probe.DOUBLE", HELD_DOUBLE)
    probe.defaults |= {f"{name}.reliability": "reliable" for name in INPUTS}  # each frame counts
    probe.listen(POSES, MASKS, "/diagnostics")
    return Asking(probe, tmp_path)


@pytest.fixture(scope="module")
def grasp_files(tmp_path_factory):
    """A folder with what the grasp nodes load, and a cache that the tests of a module share."""
    folder = tmp_path_factory.mktemp("grasps")
    write_files(folder)
    return folder


@pytest.fixture
def ground(tmp_path, monkeypatch):
    """A ground for launch files, for tests that are skipped where there is no `launch`."""
    from support.ros.launched import Ground

    path = os.environ.get("AMENT_PREFIX_PATH", "")
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{tmp_path}{os.pathsep}{path}")
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "log"))
    monkeypatch.delenv("FASTDDS_DEFAULT_PROFILES_FILE", raising=False)
    return Ground(tmp_path)


@pytest.fixture
def graph(probe, grasp_files):
    return Graph(probe, grasp_files)
