"""Errors of requests: severity and traceback by the table, and an answer in every case."""

import logging

import pytest
from ros import engine_double
from ros.spun import arguments, asked, log_lines, spun
from std_srvs.srv import Trigger

from sam6d_ros.apps.ros.on_demand_goal import Goal
from sam6d_ros.apps.ros.pose_node import PoseNode
from sam6d_ros.apps.ros.segmentation_node import SegmentationNode
from sam6d_ros.errors import InvalidFrame, NotReady, ResourceExhausted
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
    monkeypatch.setattr("sam6d_ros.apps.ros.on_demand_segment.region_from", breaking(error))
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
    monkeypatch.setattr("sam6d_ros.apps.ros.object_services.entry_from", breaking(error))
    answer = asked(segmentation_node, AddObject, "~/add_object")()
    assert not answer.success
    assert "it is broken" in answer.message
    check(lines, error, level, with_traceback)
