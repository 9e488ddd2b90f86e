"""The parts of the nodes that hold no node: status, parameters."""

from pathlib import Path

import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticStatus

from sam6d_ros.apps.ros import pose_node, replay_node, segmentation_node
from sam6d_ros.apps.ros.node.graph import parameter_arguments
from sam6d_ros.apps.ros.node.parameters import Parameter, declare
from sam6d_ros.apps.ros.node.reports import LEVELS, diagnostic_status
from sam6d_ros.errors import InvalidConfig, InvalidFrame, ResourceExhausted
from sam6d_ros.runtime.states import State
from sam6d_ros.runtime.status import HostStatus
from sam6d_ros.stages.backends import check_name

# --- status


@pytest.fixture
def status():
    status = HostStatus("/node")
    status.activated()
    return status


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (InvalidFrame("depth is odd"), State.BAD_INPUT),
        (ResourceExhausted("out of memory"), State.FAILED),
        (ZeroDivisionError("a bug"), State.FAILED),
    ],
)
def test_every_error_reaches_the_diagnostics_and_success_clears_it(status, error, state):
    status.failed(error)
    message = diagnostic_status(status, dropped=3)
    values = {v.key: v.value for v in message.values}
    assert (message.level, values["state"]) == (DiagnosticStatus.ERROR, state.value)
    assert values["last_error"] == f"{type(error).__name__}: {error}"
    assert values["frames_dropped"] == "3"
    status.processed({"score": 0.0123}, "nothing there")
    message = diagnostic_status(status, dropped=3)
    values = {v.key: v.value for v in message.values}
    assert (message.level, values["state"]) == (DiagnosticStatus.OK, State.RUNNING.value)
    assert (values["last_error"], values["score_ms"]) == ("", "12.3")
    assert values["empty_result_reason"] == "nothing there"


def test_a_ready_node_without_frames_says_that_it_waits(status):
    message = diagnostic_status(status, dropped=0)
    assert (message.level, message.message) == (DiagnosticStatus.WARN, "waiting for input")
    status.input_problem("no message on ~/depth")
    assert (
        diagnostic_status(status, dropped=0).message == "waiting for input: no message on ~/depth"
    )


def values_of(message):
    return {row.key: row.value for row in message.values}


def test_a_result_of_23_s_age_is_a_warning(status, clock):
    """Also while the next frame is in progress; on demand it is as old as it may be."""
    status = HostStatus("/node", clock=clock)
    status.activated()
    status.results.add({"mug_0": 0.7})
    status.stats.record_result(2.0)
    with status.working():
        status.processed({})
        clock.now += 21
        message = diagnostic_status(status, dropped=0)
        assert message.level == DiagnosticStatus.WARN
        assert "running: the newest result is 23 s old; up to 5 s are expected" in message.message
        values = values_of(message)
        assert (values["found"], values["found_s_ago"]) == ("mug_0 0.70", "21.0")
        assert values["result_age_s"] == "23.0"
        status.serves_on_demand(True)
        assert diagnostic_status(status, dropped=0).level == DiagnosticStatus.OK


def test_without_a_result_there_is_no_age(status):
    values = values_of(diagnostic_status(status, dropped=0))
    assert (values["found"], values["found_s_ago"], values["result_age_s"]) == ("", "nan", "nan")


def test_every_state_has_a_level_in_the_diagnostics():
    assert set(LEVELS) == set(State)


# --- parameters


@pytest.mark.parametrize("module", [segmentation_node, pose_node, replay_node])
def test_every_parameter_is_described_and_its_default_is_valid(module):
    names = [row.name for row in module.PARAMETERS]
    assert len(names) == len(set(names))
    for row in module.PARAMETERS:
        assert row.description
        assert row.problem(row.default) == ""
        if row.limits:
            assert row.limits[0] <= row.default <= row.limits[1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("speed:=3.0", "speed is refused; expected a value in"),
        ("speed:=1", "speed must be a float; write numbers like 0.5"),
        ("colour:=blue", "colour is 'blue'; expected one of red, green"),
        ("backend:=magic", "backend is 'magic'; expected one of auto, geometric, sam6d"),
    ],
)
def test_bad_values_given_at_start_are_refused_with_the_reason(ros, given, said):
    table = (
        Parameter("speed", 0.5, "m/s", limits=(0.0, 1.0)),
        Parameter("colour", "red", "of the lamp", choices=("red", "green")),
        Parameter("backend", "auto", "of the stages", check=check_name),
    )
    node = ros.node("lamp", cli_args=["--ros-args", "-p", given])
    with pytest.raises(InvalidConfig, match=said):
        declare(node, table)


def test_children_get_parameters_that_yaml_reads_back():
    given = {"path": Path("/a b"), "loop": True, "rate_hz": 5.0, "id": "1", "list": ["a", "b"]}
    arguments = parameter_arguments(given)
    assert arguments[::2] == ["-p"] * 5
    read = [yaml.safe_load(text.partition(":=")[2]) for text in arguments[1::2]]
    assert read == ["/a b", True, 5.0, "1", ["a", "b"]]


def test_only_the_node_that_rejects_poses_has_a_threshold():
    assert "min_score" in {row.name for row in pose_node.PARAMETERS}
    assert "min_score" not in {row.name for row in segmentation_node.PARAMETERS}
