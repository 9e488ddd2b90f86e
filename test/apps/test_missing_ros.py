"""Nodes that are started where ROS 2 is not installed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sam6d_ros
from sam6d_ros.apps.ros.node import missing_ros
from sam6d_ros.apps.ros.node.graph import MODULES

SHELL = Path(sam6d_ros.__file__).parent / "apps/ros"
EXECUTABLES = {module: name for name, module in MODULES.items()}
NODES = ("one_process", *sorted(path.stem for path in SHELL.glob("*_node.py")))
START = """
import runpy, sys
for name in sys.argv[2:]:
    sys.modules[name] = None
runpy.run_module("sam6d_ros.apps.ros." + sys.argv[1], run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("node", NODES)
def test_a_node_without_ros_says_what_is_missing_in_one_line(node):
    """It was a traceback."""
    command = [sys.executable, "-c", START, node, "rclpy", "std_msgs", "vision_msgs"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == 4, run.stderr
    assert run.stdout == ""
    (line,) = run.stderr.splitlines()
    assert line.startswith(f"{EXECUTABLES.get(node, node)} needs ROS 2")
    assert "make setup" in line


@pytest.mark.parametrize(
    ("absent", "word"),
    [("vision_msgs", "ros-$ROS_DISTRO-vision-msgs"), ("sam6d_ros.msg", "colcon build")],
)
def test_a_single_missing_package_is_named(monkeypatch, absent, word):
    monkeypatch.setattr(missing_ros, "find_spec", lambda name: None if name == absent else name)
    assert word in missing_ros.missing("pose_node")
    monkeypatch.setattr(missing_ros, "find_spec", lambda name: name)
    assert missing_ros.missing("pose_node") == ""


def test_every_imported_message_package_is_checked():
    imported = set()
    files = (path for path in SHELL.rglob("*.py") if "bags" not in path.parts)
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    messages = {name for name in imported if name.endswith(("_msgs", "_srvs", "_interfaces"))}
    assert messages - {"moveit_msgs"} <= set(missing_ros.REQUIRED)
