"""Distribution of the tests over the workers of pytest-xdist (``--dist loadgroup``).

A group runs in one worker, so that its fixtures are set up once. By default a group is a file.
Tests that share what is expensive (a Triton server, a Ray cluster) are one group. Groups start in
the order of LONGEST: a long one that starts last leaves the other worker without work.
"""

from __future__ import annotations

from pathlib import Path

import pytest

# fixture → group of all tests that use it
SHARED = {"triton": "triton", "recorded": "scan", "fleet_environment": "ray"}
LONGEST = (
    "triton",
    "ray",
    "golden.test_golden",
    "underlay.test_colcon_build",
    "runtime.model_server.test_registry_detectors",
    "apps.ros.test_tracking_node",
    "apps.ros.test_nodes_over_dds",
    "apps.ros.pose.test_on_demand_ends",
    "apps.ros.pose.test_on_demand",
    "apps.ros.test_same_poses",
    "scan",
    "apps.ros.objects.test_object_services",
    "apps.ros.node.test_lifecycle",
    "apps.ros.test_grasp_node",
    "apps.cli.test_commands",
    "apps.cli.test_backend_example",
    "apps.http.test_page",
    "apps.http.tracking.test_tracking",
    "apps.ros.faults.test_supervision",
    "apps.ros.faults.test_stamps",
)


def group_of(item: pytest.Item, root: Path) -> str:
    """Name of an item's group."""
    names = getattr(item, "fixturenames", ())
    shared = next((group for fixture, group in SHARED.items() if fixture in names), None)
    return shared or item.path.relative_to(root).with_suffix("").as_posix().replace("/", ".")


def distribute(items: list[pytest.Item], root: Path) -> None:
    """Mark every item with its group, and put the longest groups first."""
    groups = {item: group_of(item, root) for item in items}
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))
    rank = {group: number for number, group in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(groups[item], len(rank)))
