"""Launch files start nodes again that have died."""

from pathlib import Path

import pytest

REASON = "`launch` comes with a ROS 2 distribution only; the package index has none"
pytest.importorskip("launch.actions", reason=REASON)  # our folder `launch` passes for a package
launch = pytest.importorskip("launch", reason=REASON)
REPO = next(p for p in Path(__file__).parents if (p / "pyproject.toml").is_file())


def test_a_node_that_dies_is_started_again():
    """Unless that is switched off: by the settings of the actions, which `launch` obeys."""
    described = {"true": [], "false": []}
    for respawn, found in described.items():
        context = launch.LaunchContext()
        file = launch.launch_description_sources.get_launch_description_from_python_launch_file(
            str(REPO / "launch/pipeline.launch.py")
        )
        context.launch_configurations["respawn"] = respawn
        for entity in file.entities:
            found += [e for e in entity.visit(context) or () if hasattr(e, "node_package")]
    for respawn, nodes in described.items():
        assert nodes
        settings = {node._ExecuteLocal__respawn for node in nodes if node.node_package != "rviz2"}
        assert settings == {respawn == "true"}
