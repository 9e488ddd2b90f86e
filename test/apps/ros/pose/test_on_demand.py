"""On demand: the trigger, the action and the segmentation service, over DDS around the double."""

import itertools

import pytest
from action_msgs.msg import GoalStatus
from builtin_interfaces.msg import Duration
from builtin_interfaces.msg import Time as TimeMessage
from sensor_msgs.msg import RegionOfInterest
from support.ros.asking import BOTH, MASKS, ON_DEMAND, POSES, TWO_BOXES, names
from support.ros.probe import scene

from sam6d_ros.apps.ros.conversions import stamp_ns_of
from sam6d_ros.apps.ros.segmentation.schedule import RateLimit


@pytest.mark.parametrize("nodes", [BOTH, ("pipeline",)], ids=["two processes", "one process"])
def test_a_trigger_estimates_once_and_nothing_happens_without_one(asking, nodes):
    probe = asking.probe
    probe.start_double(*nodes, parameters=ON_DEMAND)
    probe.wait_for(lambda: min(map(asking.received_by, BOTH)) >= 3, "frames", every=asking.camera())
    probe.wait_for(
        lambda: (
            [probe.diagnostics("/segmentation_node")[key] for key in ("state", "level")]
            == ["waiting for a request", 0]
        ),
        "a content diagnostic",
        every=asking.camera(),
    )
    assert not probe.received[MASKS]
    for count in (1, 2, 3):
        answer = asking.trigger(asking.camera())
        assert answer.success, answer.message
        assert answer.message == "2 objects: red_box_0 0.75, green_box_0 0.75"
        probe.wait_for(lambda n=count: len(probe.received[POSES]) >= n, "its poses")
    probe.wait_for(lambda: len(probe.received[MASKS]) >= 3, "all masks", every=asking.camera())
    # the masks on the topic were not computed again
    stamps = [stamp_ns_of(m.header) for m in probe.received[MASKS]]
    assert [stamp_ns_of(m.header) for m in probe.received[POSES]] == stamps
    assert len(stamps) == 3


def test_a_goal_fuses_frames_and_tells_its_stages_in_order(asking):
    """Depth differs from frame to frame, and the green box is in one of them only."""
    asking.probe.start_double(*BOTH, parameters=ON_DEMAND)
    depths = {1: 1.0, 2: 1.004, 3: 0.996}
    sent = {}

    def camera():
        """One frame for each that is asked for; sent again as it is, should it get lost."""
        number = max((f.frame for f in asking.feedback if f.stage == "segment"), default=None)
        if number is None:
            return
        if number not in sent:
            colours = TWO_BOXES if number == 2 else TWO_BOXES[:1]
            stamp = asking.probe.now_ns()
            sent[number] = asking.probe.messages(*scene(colours, depths[number]), stamp)
        asking.probe.send(sent[number])

    status, result = asking.estimate(camera, frames=3)
    assert (status, result.success) == (GoalStatus.STATUS_SUCCEEDED, True)
    told = [
        *(pair for n in (1, 2, 3) for pair in (("segment", n), ("estimate", n))),
        ("fuse", 3),
    ]
    # Feedback has a topic of its own, and rclpy's client drops what comes after the goal's end.
    assert asking.stages() in (told, told[:-1])
    assert {f.frames for f in asking.feedback} == {3}
    elapsed = [f.elapsed_s for f in asking.feedback]
    assert elapsed == sorted(elapsed)
    assert result.frames_used == 3
    assert result.message == (
        "1 object: red_box_0 0.75; 1 seen in fewer than half of the 3 frames left out"
    )
    assert result.detections.header == sent[3][0].header
    (box,) = result.detections.detections
    assert box.results[0].pose.pose.position.z == pytest.approx(1.0, abs=1e-3)
    asking.probe.wait_for(lambda: asking.probe.received[POSES], "the same on the topic")
    assert asking.probe.received[POSES] == [result.detections]


def test_a_goal_chooses_objects_and_a_region(asking):
    """The red box is at columns 10 to 20, the green one at 40 to 50, both at rows 20 to 30."""
    asking.probe.start_double(*BOTH, parameters=ON_DEMAND)
    left = RegionOfInterest(x_offset=5, y_offset=10, width=30, height=40)
    _, green = asking.estimate(asking.camera(), class_ids=["green_box"])
    assert names(green.detections) == ["green_box"]
    _, red = asking.estimate(asking.camera(), roi=left)
    assert names(red.detections) == ["red_box"]
    status, none = asking.estimate(asking.camera(), roi=left, class_ids=["green_box"])
    assert (status, none.success) == (GoalStatus.STATUS_SUCCEEDED, True)
    assert none.message == (
        "nothing found: what was found lies outside the region 30×40 at (5, 10)"
    )


def test_poses_below_the_nodes_threshold_are_not_returned(asking):
    asking.probe.start_double(*BOTH, parameters={**ON_DEMAND, "min_score": 0.8})
    _, none = asking.estimate(asking.camera())
    assert "scores 0.75; min_score is 0.80" in none.message
    assert not none.detections.detections


def test_a_choice_of_objects_or_a_region_is_no_news_of_all_others(asking):
    """Readers of the topics (tracking, a planning scene) take what is missing for gone."""
    asking.probe.start_double(*BOTH, parameters=ON_DEMAND)
    asking.probe.listen("/tf")
    _, green = asking.estimate(asking.camera(), class_ids=["green_box"])
    asking.estimate(asking.camera(), roi=RegionOfInterest(width=30, height=40))
    _, every = asking.estimate(asking.camera())
    asking.probe.wait_for(lambda: asking.probe.received[POSES], "the message about all")
    assert asking.probe.received[POSES] == [every.detections]
    asking.probe.wait_for(lambda: len(asking.probe.received["/tf"]) == 3, "transforms of all three")
    sent = asking.probe.received["/tf"][0].transforms
    assert [t.child_frame_id for t in sent] == [found.id for found in green.detections.detections]


def test_what_cannot_be_done_is_answered_with_the_reason(asking):
    asking.probe.start_double(*BOTH, parameters=ON_DEMAND)
    roi = RegionOfInterest(x_offset=60, width=30, height=30)
    cases = [
        ({"class_ids": ["mug"]}, "no object is named 'mug'; /segmentation_node looks for red_box"),
        ({"roi": roi}, "region 30×30 at (60, 0) reaches beyond the image of 80×60"),
        ({"roi": RegionOfInterest(width=30)}, "region 30×0 at (0, 0) is no region"),
        ({"timeout": Duration(sec=-1)}, "timeout is -1 s; it must not be negative"),
    ]
    for wanted, reason in cases:
        answer = asking.segment(asking.camera(), **wanted)
        assert not answer.success
        assert reason in answer.message
        reason = reason.replace("/segmentation_node", "/pose_node")
        status, result = asking.estimate(asking.camera(), **wanted)
        assert (status, result.success) == (GoalStatus.STATUS_ABORTED, False)
        assert reason in result.message
    status, result = asking.estimate(asking.camera(), frames=101)
    assert (status, result.message) == (
        GoalStatus.STATUS_ABORTED,
        "frames is 101; expected at most 100",
    )
    assert asking.trigger(asking.camera()).success
    assert len(asking.probe.received[MASKS]) == 1


def test_the_segmentation_service_takes_a_frame_that_is_new_enough(asking):
    asking.probe.start_double("segmentation_node", parameters=ON_DEMAND)
    first = asking.segment(asking.camera(), class_ids=["red_box"])
    assert first.success, first.message
    assert [m.class_id for m in first.masks.instances] == ["red_box"]
    stamp = first.masks.header.stamp
    later = asking.segment(asking.camera(), newer_than=stamp)
    asking.probe.wait_for(lambda: asking.probe.received[MASKS], "those of all on the topic")
    assert asking.probe.received[MASKS] == [later.masks]
    assert stamp_ns_of(later.masks.header) > stamp_ns_of(first.masks.header)
    future = TimeMessage(sec=stamp.sec + 10**6)
    none = asking.segment(asking.camera(), newer_than=future, timeout=Duration(nanosec=10**8))
    assert not none.success
    assert f"no frame with a stamp after {future.sec}." in none.message
    assert "came within 0.1 s; the newest is of " in none.message


def test_goals_are_served_beside_the_continuous_flow(asking):
    """No stamp is published twice, whoever asked for it."""
    probe = asking.probe
    probe.start_double(*BOTH)
    for _ in range(3):
        status, result = asking.estimate(asking.camera(), frames=2)
        assert status == GoalStatus.STATUS_SUCCEEDED, result.message
    count = len(probe.received[POSES])
    probe.wait_for(
        lambda: len(probe.received[POSES]) >= count + 3, "the flow", every=asking.camera()
    )
    stamps = [stamp_ns_of(m.header) for m in probe.received[POSES]]
    assert len(set(stamps)) >= len(stamps) - 3  # a goal may ask for a frame that just went by


def test_the_rate_is_limited_and_the_mode_changes_at_run_time(asking):
    probe = asking.probe
    probe.start_double("segmentation_node", parameters={"max_rate_hz": 4.0})
    clock = []

    def camera():
        clock.append(asking.send())

    probe.wait_for(lambda: len(probe.received[MASKS]) >= 6, "masks", every=camera)
    # the probe sends about ten frames per second of test time, one second apart by their stamps
    taken = [clock.index(stamp_ns_of(m.header)) for m in probe.received[MASKS]]
    gaps = [b - a for a, b in itertools.pairwise(taken)]
    assert sum(gaps) / len(gaps) > 1.5, "about every second or third frame is taken"
    probe.wait_for(
        lambda: int(probe.diagnostics("/segmentation_node")["frames_skipped"]) >= 6,
        "frames counted as skipped",
        every=camera,
    )
    asking.set("segmentation_node", mode="on_demand")
    assert asking.segment(camera).success  # done after whatever still waited
    count, heard = len(probe.received[MASKS]), asking.received_by("segmentation_node")
    probe.wait_for(
        lambda: asking.received_by("segmentation_node") >= heard + 10, "frames", every=camera
    )
    assert len(probe.received[MASKS]) == count
    asking.set("segmentation_node", mode="continuous", max_rate_hz=0.0)
    probe.wait_for(lambda: len(probe.received[MASKS]) >= count + 3, "masks", every=camera)


def test_a_rate_limit_holds_on_average_and_forgets_a_pause():
    limit = RateLimit()
    frames = [n / 30 for n in range(300)]
    taken = [t for t in frames if limit.take(7.0, t)]
    assert 69 <= len(taken) <= 71
    assert min(b - a for a, b in itertools.pairwise(taken)) > 0.5 / 7
    assert [limit.take(7.0, 100 + n / 30) for n in range(3)] == [True, False, False]
    assert all(RateLimit().take(0.0, t) for t in frames)
