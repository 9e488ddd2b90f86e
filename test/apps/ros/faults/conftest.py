"""Running nodes that a module of tests does harm to."""

from __future__ import annotations

import pytest
from support.ros.world import World

from sam6d_ros.apps.ros.node.domain import own_domain
from sam6d_ros.apps.ros.node.graph import graph_environment


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if {"world", "make_world"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.graph)


@pytest.fixture(scope="module")
def make_world(tmp_path_factory):
    """Start nodes in a graph of their own; all must be alive, and end well, at the end."""
    with pytest.MonkeyPatch.context() as patch, own_domain() as domain_id:
        folder = tmp_path_factory.mktemp("world")
        for name, value in graph_environment(domain_id, folder).items():
            patch.setenv(name, value)
        with World(domain_id, folder) as world:
            yield world.start
        world.check_the_end()


@pytest.fixture(scope="module")
def world(make_world):
    """Segmentation, pose and tracking around doubles of their engines, with poses coming."""
    return make_world("segmentation_node", "pose_node", "tracking_node")
