"""A graph of node processes with a probe in the test's own process, one domain per test."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
from ros.asking import MASKS, POSES, Asking
from ros.grasp_graph import Graph, write_files
from ros.probe import Probe

from sam6d_ros.apps.ros.children import Children, graph_environment

_domains = itertools.count(os.getpid())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "probe" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.graph)


@pytest.fixture
def probe(tmp_path, monkeypatch):
    """A probe in a domain that no other test of this run uses at the same time."""
    domain_id = 1 + next(_domains) % 100
    environment = graph_environment(domain_id, tmp_path)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with Children(environment, tmp_path) as children:
        probe = Probe(domain_id, children)
        yield probe
        probe.close()
    for child in children.running:
        assert child.wait() == 0, f"{child.name} did not end well:\n{child.output()[-3000:]}"
        assert "Traceback" not in child.output(), child.output()[-3000:]


@pytest.fixture
def asking(probe, tmp_path, monkeypatch):
    """A probe with clients of everything that can be asked; the double's stages can be held."""
    probe.children.env["HELD_STAGES"] = str(tmp_path)
    monkeypatch.setattr("ros.probe.DOUBLE", Path(__file__).with_name("held_double.py"))
    probe.listen(POSES, MASKS, "/diagnostics")
    return Asking(probe, tmp_path)


@pytest.fixture(scope="module")
def grasp_files(tmp_path_factory):
    """A folder with what the grasp nodes load, and a cache that the tests of a module share."""
    folder = tmp_path_factory.mktemp("grasps")
    write_files(folder)
    return folder


@pytest.fixture
def graph(probe, grasp_files):
    return Graph(probe, grasp_files)
