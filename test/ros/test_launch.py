"""The launch files, where a ROS distribution brings `launch`; a named skip where none does."""

import os
from pathlib import Path

import pytest

launch = pytest.importorskip(
    "launch", reason="`launch` comes with a ROS 2 distribution only; the package index has none"
)
pytest.importorskip("launch_ros", reason="`launch_ros` comes with a ROS 2 distribution only")

LAUNCH = Path(__file__).resolve().parents[2] / "launch"
EXPECTED = {
    "camera_ns", "objects_file", "backend", "device", "rviz", "use_sim_time", "log_level",
    "namespace",
}  # fmt: skip


def description(name):
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    source = PythonLaunchDescriptionSource(str(LAUNCH / name))
    return source.get_launch_description(launch.LaunchContext())


def started(name, **arguments):
    """The executables that a launch file starts, in order."""
    from launch_ros.actions import Node

    context = launch.LaunchContext()
    context.launch_configurations.update(arguments)
    found, todo = [], list(description(name).entities)
    while todo:
        entity = todo.pop(0)
        if not isinstance(entity, Node):
            todo = (entity.visit(context) or []) + todo  # in order: arguments come first
        elif entity.condition is None or entity.condition.evaluate(context):
            found.append(entity.node_executable)
    return found


def test_the_pipeline_has_the_promised_arguments():
    names = {argument.name for argument in description("pipeline.launch.py").get_launch_arguments()}
    assert names >= EXPECTED


def test_every_argument_has_a_default_so_that_nothing_is_required_but_files():
    required = [
        argument.name
        for name in ("pipeline.launch.py", "replay.launch.py")
        for argument in description(name).get_launch_arguments()
        if argument.default_value is None
    ]
    assert required == ["path"]


@pytest.mark.parametrize(
    ("name", "arguments", "executables"),
    [
        ("pipeline.launch.py", {}, ["segmentation_node", "pose_node"]),
        ("pipeline.launch.py", {"rviz": "true"}, ["segmentation_node", "pose_node", "rviz2"]),
        ("replay.launch.py", {"path": "/data"}, ["segmentation_node", "pose_node", "replay_node"]),
    ],
)
def test_the_nodes_are_separate_processes(name, arguments, executables):
    assert started(name, **arguments) == executables


def test_the_fast_dds_profile_is_set_unless_the_user_has_one(monkeypatch):
    monkeypatch.delenv("FASTDDS_DEFAULT_PROFILES_FILE", raising=False)
    started("pipeline.launch.py")
    assert Path(os.environ["FASTDDS_DEFAULT_PROFILES_FILE"]).is_file()
    monkeypatch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", "/my/own.xml")
    started("pipeline.launch.py")
    assert os.environ["FASTDDS_DEFAULT_PROFILES_FILE"] == "/my/own.xml"
