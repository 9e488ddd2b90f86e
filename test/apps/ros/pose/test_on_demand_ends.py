"""On demand: how requests end that do not succeed: timeouts, cancel, nodes that are not there."""

import pytest
from action_msgs.msg import GoalStatus
from builtin_interfaces.msg import Duration
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from support.ros import probe as probe_module
from support.ros.asking import BOTH, ON_DEMAND, POSES, TWO_BOXES, names
from support.ros.probe import scene

from sam6d_ros.apps.ros.conversions import stamp_ns_of
from sam6d_ros.runtime.admission import DEFAULT_CAPACITY


def canceled(asking, handle):
    answer = asking.done(handle.cancel_goal_async(), "the answer to cancel")
    assert len(answer.goals_canceling) == 1
    status, result = asking.outcome(handle)
    assert status == GoalStatus.STATUS_CANCELED
    return result


def test_a_goal_ends_at_its_timeout_and_says_where_it_was(asking):
    """Without a camera, in a stage that does not end, and in the queue behind it."""
    asking.probe.start_double(*BOTH, parameters=ON_DEMAND)
    timeout = Duration(nanosec=3 * 10**8)
    status, result = asking.estimate(timeout=timeout)
    assert status == GoalStatus.STATUS_ABORTED
    assert "0.3 s" in result.message
    estimate = asking.hold("estimate")
    first = asking.goal()
    asking.probe.wait_for(estimate.reached, "the stage", every=asking.camera())
    status, result = asking.estimate(timeout=timeout)
    assert status == GoalStatus.STATUS_ABORTED
    assert result.message.endswith("stage in progress: queue, frame 0 of 1")
    third = asking.goal(timeout=Duration(sec=60))
    estimate.release()
    assert [asking.outcome(h, asking.camera())[0] for h in (first, third)] == [
        GoalStatus.STATUS_SUCCEEDED
    ] * 2


@pytest.mark.parametrize("stage", ["segment", "estimate"])
def test_cancel_is_answered_in_the_middle_of_a_stage_and_nothing_follows(asking, stage):
    asking.probe.start_double(*BOTH, parameters=ON_DEMAND)
    held = asking.hold(stage)
    handle = asking.goal(frames=2)
    asking.probe.wait_for(held.reached, f"the stage {stage}", every=asking.camera())
    result = canceled(asking, handle)
    assert result.message == f"cancelled in stage {stage}, frame 1 of 2"
    assert not result.success
    held.release()
    status, result = asking.estimate(asking.camera())
    assert status == GoalStatus.STATUS_SUCCEEDED
    asking.probe.wait_for(lambda: asking.probe.received[POSES], "the second goal's message")
    assert asking.probe.received[POSES] == [result.detections]


def test_without_a_segmentation_node_a_goal_says_what_to_start(asking):
    asking.probe.start_double("pose_node")
    reason = (
        "no server for /segmentation_node/segment: start the segmentation node, or remap "
        "segmentation_node/segment to its ~/segment"
    )
    status, result = asking.estimate()
    assert (status, result.message) == (GoalStatus.STATUS_ABORTED, reason)
    answer = asking.trigger()
    assert (answer.success, answer.message) == (False, reason)


def test_a_goal_is_aborted_when_the_segmentation_node_goes_away(asking):
    """The node that comes in its place serves the next goal."""
    probe = asking.probe
    segmentation, _ = probe.start_double(*BOTH, parameters=ON_DEMAND)
    asking.wait_discovered()
    segment = asking.hold("segment")
    handle = asking.goal()
    probe.wait_for(segment.reached, "the stage", every=asking.camera())
    probe.children.running.remove(segmentation)
    segmentation.interrupt()
    status, result = asking.outcome(handle)
    assert status == GoalStatus.STATUS_ABORTED
    assert "the segmentation node went away (/segmentation_node/segment" in result.message
    assert segmentation.wait() == 0
    segment.release()
    probe.children.start(
        "segmentation_node",
        {"objects_file": "unused", **ON_DEMAND},
        probe_module.INPUT_REMAPPINGS,
        (str(probe_module.DOUBLE), "segmentation_node"),
    )
    probe.ready.clear()
    probe.wait_ready("segmentation_node")
    asking.wait_discovered()
    status, result = asking.estimate(asking.camera(), timeout=Duration(sec=15))
    assert status == GoalStatus.STATUS_SUCCEEDED, result.message
    assert names(result.detections) == ["red_box", "green_box"]


@pytest.mark.parametrize("victim", BOTH)
def test_a_goal_is_aborted_when_a_node_is_deactivated_in_the_middle(asking, victim):
    asking.probe.start_double(*BOTH, parameters=ON_DEMAND)
    held = asking.hold("segment" if victim == "segmentation_node" else "estimate")
    handle = asking.goal()
    asking.probe.wait_for(held.reached, "the stage", every=asking.camera())
    client = asking.probe.node.create_client(ChangeState, f"/{victim}/change_state")
    down = Transition(id=Transition.TRANSITION_DEACTIVATE)
    assert asking.call(client, ChangeState.Request(transition=down)).success
    status, result = asking.outcome(handle)
    assert status == GoalStatus.STATUS_ABORTED
    assert "deactivated" in result.message or "inactive" in result.message
    held.release()
    answer = asking.trigger(asking.camera())
    assert not answer.success
    assert f"/{victim} is inactive: activate it first" in answer.message
    assert not asking.probe.received[POSES]


def test_calls_beyond_the_queue_are_refused_at_once_and_the_others_are_served(asking):
    probe, camera = asking.probe, asking.camera()
    probe.start_double("segmentation_node", parameters=ON_DEMAND)
    segment = asking.hold("segment")
    calls = [asking.segment_later()]
    probe.wait_for(segment.reached, "the stage", every=camera)
    calls += [asking.segment_later() for _ in range(DEFAULT_CAPACITY + 3)]
    probe.wait_for(lambda: sum(c.done() for c in calls) == 3, "three refusals", every=camera)
    refused = [call.result() for call in calls if call.done()]
    assert not any(answer.success for answer in refused)
    assert all("16 requests wait for /segmentation_node" in a.message for a in refused)
    assert all("try again in" in answer.message for answer in refused)
    segment.release()
    probe.wait_for(lambda: all(call.done() for call in calls), "all answers", every=camera)
    assert sum(call.result().success for call in calls) == 1 + DEFAULT_CAPACITY


def test_goals_beyond_the_queue_are_aborted_at_once_and_the_others_are_served_in_order(asking):
    probe, camera = asking.probe, asking.camera()
    probe.start_double(*BOTH, parameters=ON_DEMAND)
    estimate = asking.hold("estimate")
    first = asking.goal()
    probe.wait_for(estimate.reached, "the stage", every=camera)
    waiting = [asking.goal() for _ in range(DEFAULT_CAPACITY)]
    status, result = asking.estimate()
    assert status == GoalStatus.STATUS_ABORTED
    assert result.message.startswith("16 requests wait for /pose_node (at most 16); try again in")
    estimate.release()
    results = [asking.outcome(goal, camera) for goal in (first, *waiting)]
    assert {status for status, _ in results} == {GoalStatus.STATUS_SUCCEEDED}
    stamps = [stamp_ns_of(result.detections.header) for _, result in results]
    assert stamps == sorted(stamps)


def test_a_stage_that_raises_is_the_answer_and_the_node_goes_on(asking):
    """Depth of an unusable encoding is found out in the compute thread."""
    asking.probe.start_double(*BOTH, parameters=ON_DEMAND)
    broken = asking.probe.messages(*scene(TWO_BOXES), asking.probe.now_ns() - 10**10)
    broken[1].encoding = "bgr8"  # no depth: refused when it is converted
    answer = asking.segment(lambda: asking.probe.send(broken))
    assert not answer.success
    assert "depth" in answer.message
    asking.probe.wait_for(
        lambda: asking.probe.diagnostics("/segmentation_node").get("state") == "bad input",
        "the diagnostics",
    )
    later = broken[0].header.stamp
    assert asking.segment(asking.camera(), newer_than=later).success
    assert asking.trigger(asking.camera()).success
