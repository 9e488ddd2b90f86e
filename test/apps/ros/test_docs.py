"""The documents state the truth: parameters of docs/ros.md, tests named in two of the documents."""

import re
from pathlib import Path

import pytest
import yaml

from sam6d_ros.apps.ros import (
    detector_node,
    grasp_node,
    pose_node,
    replay_node,
    scan_node,
    segmentation_node,
    tracking_node,
)
from sam6d_ros.apps.ros.planning_scene import parameters as planning_scene_parameters

REPO = Path(__file__).resolve().parents[3]
TYPES = {bool: "bool", int: "int", float: "float", str: "string", list: "string[]"}
NODES = [
    segmentation_node, pose_node, tracking_node, detector_node, grasp_node,
    planning_scene_parameters, replay_node, scan_node,
]  # fmt: skip


def shown(value):
    """A default as docs/ros.md writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[]"
    return '""' if value == "" else str(value)


def documented(row):
    """The line of docs/ros.md for one parameter."""
    allowed = ", ".join(row.choices)
    if row.limits:
        allowed = f"{row.limits[0]:g} … {row.limits[1]:g}"
    settable = "start" if row.read_only else "any time"
    return (
        f"| `{row.name}` | {TYPES[type(row.default)]} | `{shown(row.default)}` | {allowed} "
        f"| {settable} | {row.description} |"
    )


@pytest.mark.parametrize("node", NODES)
def test_every_parameter_is_documented_as_it_is(node):
    lines = (REPO / "docs/ros.md").read_text().splitlines()
    missing = [documented(row) for row in node.PARAMETERS if documented(row) not in lines]
    assert not missing, "docs/ros.md lacks:\n" + "\n".join(missing)


def test_no_parameter_is_documented_that_is_not():
    names = {row.name for node in NODES for row in node.PARAMETERS}
    text = (REPO / "docs/ros.md").read_text()
    parameters = text[text.index("## Parameters") :]
    assert set(re.findall(r"^\| `([^`]+)` \|", parameters, re.MULTILINE)) == names


def test_the_parameter_file_states_the_defaults():
    content = yaml.safe_load((REPO / "config/pipeline.yaml").read_text())
    given = {k: v for node in content.values() for k, v in node["ros__parameters"].items()}
    nodes = (segmentation_node, pose_node, tracking_node, grasp_node)
    rows = [row for node in nodes for row in node.PARAMETERS]
    defaults = {row.name: row.default for row in rows}
    not_stated = {"objects_file", "tf_prefix"}  # the launch files set the second by the namespace
    assert given == {k: v for k, v in defaults.items() if k not in not_stated}


@pytest.mark.parametrize(("name", "fewest"), [("bad_input.md", 26), ("reliability.md", 60)])
def test_every_test_that_a_document_names_exists(name, fewest):
    text = (REPO / "docs" / name).read_text()
    file, checked = "", 0
    for path, test in re.findall(r"`([\w/]+\.py|…(?=::))(?:::(\w+))?`", text):
        file = path if path != "…" else file
        source = (REPO / "test" / file).read_text()
        assert not test or f"def {test}(" in source, f"{file}::{test}"
        checked += 1
    assert checked >= fewest


def test_every_fault_of_the_table_names_its_test():
    text = (REPO / "docs/reliability.md").read_text()
    rows = re.findall(r"^\| .* \| .* \| (.*) \|$", text.partition("## Chaos")[0], re.MULTILINE)
    assert len(rows) > 35
    assert [row for row in rows[1:] if "::test_" not in row] == []


@pytest.mark.parametrize("path", [REPO / "README.md", *sorted((REPO / "docs").glob("*.md"))])
def test_no_command_has_a_private_name_that_the_shell_would_take_for_a_home_folder(path):
    assert not re.findall(r"-r ~/.*", path.read_text()), "put '~/name:=…' into quotes"
