"""Errors of requests: severity and traceback by the table, and an answer in every case."""

import logging
import threading

import pytest
from builtin_interfaces.msg import Duration
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter as RosParameter
from std_srvs.srv import Trigger
from support.ros import engine_double
from support.ros.spun import (
    PATIENCE_S,
    Barrier,
    arguments,
    asked,
    await_that,
    camera_messages,
    estimated,
    log_lines,
    spun,
)

from sam6d_ros import errors
from sam6d_ros.apps.ros.node.remote_errors import remote_error, remote_text
from sam6d_ros.apps.ros.pose.goal import Goal
from sam6d_ros.apps.ros.pose_node import PoseNode
from sam6d_ros.apps.ros.segmentation_node import SegmentationNode
from sam6d_ros.errors import InvalidFrame, NotReady, ResourceExhausted
from sam6d_ros.runtime.error_table import handling_of
from sam6d_ros.runtime.objects import ObjectChange
from sam6d_ros.srv import AddObject, SegmentFrame

BY_THE_TABLE = [
    (NotReady, logging.INFO, False),
    (InvalidFrame, logging.WARNING, False),
    (ResourceExhausted, logging.ERROR, False),
    (ZeroDivisionError, logging.ERROR, True),
]
by_the_table = pytest.mark.parametrize(("error", "level", "with_traceback"), BY_THE_TABLE)


@pytest.fixture
def pose_node():
    with spun(lambda: PoseNode(engine_double.build, arguments())) as node:
        yield node


@pytest.fixture
def segmentation_node():
    with spun(lambda: SegmentationNode(engine_double.build, arguments())) as node:
        yield node


@pytest.fixture
def both_nodes():
    """(pose node, segmentation node), active, without a camera."""
    makers = [lambda n=n: n(engine_double.build, arguments()) for n in (PoseNode, SegmentationNode)]
    with spun(*makers) as nodes:
        for node in nodes:
            activate(node)
        yield nodes


def activate(node):
    assert node.trigger_configure() is TransitionCallbackReturn.SUCCESS
    assert node.trigger_activate() is TransitionCallbackReturn.SUCCESS


@pytest.fixture
def barrier(monkeypatch):
    """Holds the scoring of the double."""
    barrier = Barrier()
    held = barrier.before(engine_double.ColourScorer.score)
    monkeypatch.setattr(engine_double.ColourScorer, "score", held)
    yield barrier
    barrier.go_on.set()


def breaking(error):
    def broken(*_):
        raise error("it is broken")

    return broken


def check(lines, error, level, with_traceback):
    """One line, by the table."""
    ((logged, text),) = lines
    assert logged == level
    assert f"{error.__name__}: it is broken" in text
    assert ("Traceback" in text) is with_traceback


@by_the_table
def test_a_failed_goal_is_logged_by_the_table(pose_node, monkeypatch, error, level, with_traceback):
    lines = log_lines(pose_node, monkeypatch)
    monkeypatch.setattr(Goal, "validate", breaking(error))
    answer = asked(pose_node, Trigger, "~/trigger")()
    assert not answer.success
    assert "it is broken" in answer.message
    check(lines, error, level, with_traceback)


@by_the_table
def test_a_failed_segmentation_request_is_logged_by_the_table(
    segmentation_node, monkeypatch, error, level, with_traceback
):
    lines = log_lines(segmentation_node, monkeypatch)
    monkeypatch.setattr("sam6d_ros.apps.ros.segmentation.service.region_from", breaking(error))
    answer = asked(segmentation_node, SegmentFrame, "~/segment")()
    assert not answer.success
    assert "it is broken" in answer.message
    check(lines, error, level, with_traceback)


@by_the_table
def test_a_failed_change_of_the_objects_is_logged_by_the_table(
    segmentation_node, monkeypatch, error, level, with_traceback
):
    segmentation_node.trigger_configure()
    lines = log_lines(segmentation_node, monkeypatch)
    monkeypatch.setattr("sam6d_ros.apps.ros.objects.services.entry_from", breaking(error))
    answer = asked(segmentation_node, AddObject, "~/add_object")()
    assert not answer.success
    assert "it is broken" in answer.message
    check(lines, error, level, with_traceback)


OUR_ERRORS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.Sam6dError)
]


@pytest.mark.parametrize("kind", [*OUR_ERRORS, KeyError])
def test_an_error_keeps_its_row_of_the_table_on_its_way_through_a_response(kind):
    error = kind("text: more", *([1.0] if kind is errors.Overloaded else []))
    remote = remote_error(remote_text(error), "segmentation of frame 2")
    expected = errors.NotReady if kind is errors.Cancelled else kind
    assert handling_of(remote) == handling_of(expected.__new__(expected))
    assert str(remote).startswith("segmentation of frame 2: ")
    assert "text: more" in str(remote)


def test_a_message_without_a_type_says_that_the_other_node_is_not_ready():
    assert isinstance(remote_error("no frame came: is it on?", "segmentation"), errors.NotReady)


def test_a_goal_fails_with_the_error_that_the_segmentation_node_reports(both_nodes, monkeypatch):
    pose, segmentation = both_nodes
    lines = log_lines(pose, monkeypatch)
    segmentation.host.change(ObjectChange.drop("red_box")).result(PATIENCE_S)
    result = estimated(pose, class_ids=["red_box"])
    assert not result.success
    assert result.message.startswith("segmentation of frame 1: no object is named 'red_box'; ")
    ((level, text),) = lines
    assert level == logging.WARNING
    assert "UnknownName" in text


def test_a_call_ends_at_its_timeout_while_its_stage_runs_on(both_nodes, barrier):
    _, node = both_nodes
    node._on_demand.add_frame(camera_messages(1))
    node.set_parameters([RosParameter("request_timeout_s", value=0.2)])
    for timeout in (Duration(nanosec=2 * 10**8), Duration()):
        answer = asked(node, SegmentFrame, "~/segment", SegmentFrame.Request(timeout=timeout))()
        assert not answer.success
        assert answer.message.startswith("DeadlineExceeded: no result within the timeout of 0.2 s")
        node._on_demand.add_frame(camera_messages(1))
    barrier.await_reached()


def test_a_goal_without_a_timeout_ends_when_the_segmentation_node_gives_up(
    both_nodes, barrier, monkeypatch
):
    pose, segmentation = both_nodes
    lines = log_lines(pose, monkeypatch)
    segmentation.set_parameters([RosParameter("request_timeout_s", value=0.2)])
    segmentation._on_demand.add_frame(camera_messages(1))
    result = estimated(pose)
    assert "segmentation of frame 1: no result within the timeout of 0.2 s" in result.message
    assert [level for level, _ in lines] == [logging.INFO]


def test_a_frame_that_the_pose_node_lost_is_replaced_by_the_next(both_nodes, monkeypatch):
    pose, segmentation = both_nodes
    monkeypatch.setattr("sam6d_ros.apps.ros.node.topics.IMAGE_WAIT_S", 0.1)
    calls, call = [], pose._segmentation.call
    monkeypatch.setattr(pose._segmentation, "call", lambda r: calls.append(r) or call(r))
    segmentation._on_demand.add_frame(camera_messages(1))
    answer = asked(pose, Trigger, "~/trigger")
    await_that(lambda: len(calls) == 2, "the second attempt")
    assert calls[1].newer_than.nanosec == 1
    for take in (pose._on_frame, segmentation._on_demand.add_frame):
        take(camera_messages(2))
    assert answer().success, answer().message


def test_a_node_without_the_camera_of_the_other_gives_up_with_the_remedy(both_nodes, monkeypatch):
    pose, segmentation = both_nodes
    monkeypatch.setattr("sam6d_ros.apps.ros.node.topics.IMAGE_WAIT_S", 0.01)
    calls, call = [], pose._segmentation.call

    def next_frame(request):
        calls.append(request)
        segmentation._on_demand.add_frame(camera_messages(len(calls)))
        return call(request)

    monkeypatch.setattr(pose._segmentation, "call", next_frame)
    answer = asked(pose, Trigger, "~/trigger")()
    assert not answer.success
    assert answer.message.startswith("5 images were segmented (the last with stamp 0.000 s) that")
    assert "give this node the same camera topics" in answer.message


def test_a_cancelled_goal_whose_client_did_not_cancel_is_aborted(both_nodes, barrier, monkeypatch):
    """The state that cancelling needs never comes; the goal ends all the same."""
    pose, segmentation = both_nodes
    monkeypatch.setattr("sam6d_ros.apps.ros.pose.action.CANCEL_WAIT_S", 0.1)
    segmentation._on_demand.add_frame(camera_messages(1))
    result = []
    client = threading.Thread(target=lambda: result.append(estimated(pose)))
    client.start()
    barrier.await_reached()
    (goal,) = pose._servers._goals.values()
    goal.request.cancel()
    pose._estimation.notify()
    client.join(PATIENCE_S)
    assert result[0].message == "cancelled in stage segment, frame 1 of 1"


def test_a_call_without_a_frame_names_the_timeout_as_it_was_given(both_nodes):
    _, node = both_nodes
    request = SegmentFrame.Request(timeout=Duration(nanosec=10**8))
    message = asked(node, SegmentFrame, "~/segment", request)().message
    assert message.startswith("NotReady: no frame came within 0.1 s; there was none since")
