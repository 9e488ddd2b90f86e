"""Instances through time: constant names, reported loss, late estimates followed to the present."""

from __future__ import annotations

import numpy as np
import pytest
from support.tracked_world import MODELS, World, follow, names_by_place, run

from sam6d_ros.config import TrackingConfig
from sam6d_ros.geometry import se3
from sam6d_ros.runtime.tracking.tracks import TrackedObjects
from sam6d_ros.types import PoseEstimates


def test_an_estimate_of_the_present_frame_starts_a_track():
    world = World(a="box", b="can")
    tracked = follow(world)
    assert not len(tracked.step(world.frame(0)))
    tracked.correct(world.estimate(0, "a", "b"))
    out = run(tracked, world, 1, 1)
    assert names_by_place(world, out) == {"a": "box_1", "b": "can_1"}
    assert (out.stamp_ns, out.frame_id) == (world.frame(1).stamp_ns, "eye")
    assert all(pose.confirmed for pose in out.items)
    assert tracked.counts.tracked == tracked.counts.started == 2


def test_before_the_first_frame_nothing_is_followed():
    world = World(a="box")
    tracked = follow(world)
    tracked.correct(world.estimate(0, "a"))
    out = tracked.step(world.frame(0))
    assert not len(out)
    assert "no instance" in out.reason


def test_a_late_estimate_is_followed_to_the_present():
    world = World(a="box", b="can")
    world.speed[:] = [0.1, 0.05, 0, 0, 0.1, 0]
    tracked = follow(world)
    run(tracked, world, 0, 90)
    tracked.correct(world.estimate(0, "a", "b"))
    out = run(tracked, world, 91, 120)  # the present does not wait for it
    assert set(names_by_place(world, out)) == {"a", "b"}
    for pose in out.items:
        name = {"box": "a", "can": "b"}[pose.class_id]
        off = se3.difference(pose.cam_from_obj, world.pose(name, out.stamp_ns))
        assert np.linalg.norm(off[:3]) < 0.005


def test_equal_objects_keep_their_names_whatever_the_order_of_the_estimates():
    world = World(a="box", b="box", c="box")
    world.speed[:] = [0.15, 0, 0, 0, 0, 0.2]
    tracked = follow(world)
    tracked.step(world.frame(0))
    tracked.correct(world.estimate(0, "a", "b", "c"))
    first = names_by_place(world, run(tracked, world, 1, 30))
    assert len(first) == 3
    for index, order in ((30, "cab"), (60, "bca"), (90, "cba")):
        tracked.correct(world.estimate(index - 25, *order))
        out = run(tracked, world, index + 1, index + 30)
        assert names_by_place(world, out) == first
    assert tracked.counts.started == 3


def test_a_hidden_instance_is_held_and_fades_and_is_followed_again():
    world = World(a="box")
    tracked = follow(world, coast_s=1.0)
    tracked.step(world.frame(0))
    tracked.correct(world.estimate(0, "a"))
    seen = run(tracked, world, 1, 10).items[0]
    world.hidden.add("a")
    held = [run(tracked, world, i, i).items[0] for i in range(11, 31)]
    scores = [pose.score for pose in held]
    spread = [np.trace(pose.covariance) for pose in held]
    assert {pose.instance_id for pose in held} == {"box_1"}
    assert all(not pose.confirmed for pose in held)
    assert scores == sorted(scores, reverse=True)
    assert scores[0] < seen.score
    assert spread == sorted(spread)
    assert (tracked.counts.tracked, tracked.counts.coasting) == (0, 1)
    world.hidden.clear()
    again = run(tracked, world, 31, 31).items[0]
    assert again.instance_id == "box_1"
    assert again.confirmed
    assert again.score > scores[0]


def test_what_stays_hidden_is_lost_and_gets_its_name_back_when_found_near():
    world = World(a="box", b="box")
    tracked = follow(world, coast_s=0.5, reidentify_s=5.0)
    tracked.step(world.frame(0))
    tracked.correct(world.estimate(0, "a", "b"))
    names = names_by_place(world, run(tracked, world, 1, 5))
    world.hidden.add("a")
    out = run(tracked, world, 6, 40)
    assert names_by_place(world, out) == {"b": names["b"]}
    assert tracked.counts.lost == 1
    world.hidden.clear()
    world.bodies["a"][1][:3, 3] += [0.03, 0.02, 0]
    tracked.correct(world.estimate(40, "b", "a"))
    assert names_by_place(world, run(tracked, world, 41, 41)) == names
    assert tracked.counts.redetected == 1


@pytest.mark.parametrize("why", ["too late", "too far"])
def test_a_name_is_not_given_again(why):
    world = World(a="box")
    tracked = follow(world, coast_s=0.2, reidentify_s=1.0)
    tracked.step(world.frame(0))
    tracked.correct(world.estimate(0, "a"))
    run(tracked, world, 1, 2)
    world.hidden.add("a")
    last = 60 if why == "too late" else 15
    run(tracked, world, 3, last)
    world.hidden.clear()
    if why == "too far":
        world.bodies["a"][1][:3, 3] += [0.5, 0, 0]
    tracked.correct(world.estimate(last, "a"))
    out = run(tracked, world, last + 1, last + 1)
    assert [pose.instance_id for pose in out.items] == ["box_2"]


def test_unseen_instances_move_with_the_others():
    world = World(a="box", b="can", c="can")
    tracked = follow(world)
    tracked.step(world.frame(0))
    tracked.correct(world.estimate(0, "a", "b", "c"))
    run(tracked, world, 1, 3)
    world.hidden.add("a")
    world.speed[:] = [0.1, 0, 0.05, 0, 0.05, 0]
    out = run(tracked, world, 4, 30)
    held = next(pose for pose in out.items if pose.class_id == "box")
    assert not held.confirmed
    off = se3.difference(held.cam_from_obj, world.pose("a", out.stamp_ns))
    assert np.linalg.norm(off[:3]) < 0.01


def test_a_drifted_track_is_replaced_by_a_late_estimate_that_fits_better():
    world = World(a="box")
    world.speed[:] = [0.05, 0, 0, 0, 0.02, 0]
    tracked = follow(world)
    tracked.step(world.frame(0))
    tracked.correct(world.estimate(0, "a"))
    run(tracked, world, 1, 5)
    world.trap = np.array([0.03, 0, 0])
    world.bodies["a"][1][:3, 3] += [0.03, 0, 0]  # it slips out of the track's hands

    def off(out: PoseEstimates) -> float:
        truth = world.pose("a", out.stamp_ns)
        return float(np.linalg.norm((out.items[0].cam_from_obj - truth)[:3, 3]))

    assert off(run(tracked, world, 6, 25)) > 0.02
    tracked.correct(world.estimate(15, "a"))
    out = run(tracked, world, 26, 26)
    assert off(out) < 0.003
    assert out.items[0].instance_id == "box_1"
    assert tracked.counts.corrected == 1


def test_a_late_estimate_that_fits_worse_changes_nothing():
    world = World(a="box")
    tracked = follow(world)
    tracked.step(world.frame(0))
    tracked.correct(world.estimate(0, "a"))
    run(tracked, world, 1, 20)
    tracked.correct(world.estimate(10, "a", off=(0.03, 0, 0)))
    out = run(tracked, world, 21, 21)
    off = out.items[0].cam_from_obj[:3, 3] - world.pose("a", out.stamp_ns)[:3, 3]
    assert np.linalg.norm(off) < 0.001
    assert tracked.counts.corrected == 0
    assert len(out) == 1, "the estimate is no second instance"


def test_full_estimates_that_miss_an_instance_again_and_again_lose_it():
    world = World(a="box", b="can")
    tracked = follow(world, max_missed=2)
    tracked.step(world.frame(0))
    tracked.correct(world.estimate(0, "a", "b"))
    run(tracked, world, 1, 5)
    tracked.correct(world.estimate(5, "b"))
    assert len(run(tracked, world, 6, 6)) == 2
    tracked.correct(world.estimate(6, "a", "b"))  # found again: the count starts anew
    tracked.correct(world.estimate(6, "b"))
    assert len(run(tracked, world, 7, 7)) == 2
    tracked.correct(world.estimate(7, "b"))
    assert [pose.class_id for pose in run(tracked, world, 8, 8).items] == ["can"]


def test_an_estimate_misses_only_what_was_searched():
    world = World(a="box", b="can")
    tracked = follow(world, max_missed=1)
    tracked.step(world.frame(0), world.estimate(0, "a", "b"))
    for index in range(1, 4):
        assert len(tracked.step(world.frame(index), world.estimate(index, "b"), ["can"])) == 2
    tracked.correct(world.estimate(3, "b"), ["can", "box"])
    assert [pose.class_id for pose in run(tracked, world, 4, 4).items] == ["can"]


def test_an_estimate_given_with_its_frame_is_followed_in_the_same_step():
    world = World(a="box", b="can")
    out = follow(world).step(world.frame(0), world.estimate(0, "a", "b"))
    assert names_by_place(world, out) == {"a": "box_1", "b": "can_1"}
    assert all(pose.confirmed for pose in out.items)


def test_several_that_share_a_tracker_give_it_different_ids():
    world, seen = World(a="box"), []

    def track(frame, poses):
        seen.extend(pose.instance_id for pose in poses.items)
        return world.track(frame, poses)

    for number in range(2):
        tracked = TrackedObjects(track, lambda: MODELS, TrackingConfig(), f"{number}/")
        out = tracked.step(world.frame(0), world.estimate(0, "a"))
        assert [pose.instance_id for pose in out.items] == ["box_1"]
    assert set(seen) == {"0/box_1~1", "1/box_1~1"}


def test_an_empty_full_estimate_loses_nothing():
    world = World(a="box")
    tracked = follow(world, max_missed=1)
    tracked.step(world.frame(0))
    tracked.correct(world.estimate(0, "a"))
    run(tracked, world, 1, 2)
    for _ in range(3):
        tracked.correct(PoseEstimates.empty(world.frame(2), "the depth image has no valid pixel"))
    assert len(run(tracked, world, 3, 3)) == 1


def test_time_that_goes_back_drops_everything_but_no_name_is_used_twice():
    world = World(a="box")
    tracked = follow(world)
    tracked.step(world.frame(50))
    tracked.correct(world.estimate(50, "a"))
    assert len(run(tracked, world, 51, 55)) == 1
    assert not len(tracked.step(world.frame(0)))
    tracked.correct(world.estimate(0, "a"))
    assert [pose.instance_id for pose in run(tracked, world, 1, 1).items] == ["box_2"]


def test_the_same_frame_twice_gives_the_same_instances():
    world = World(a="box")
    world.speed[:] = [0.1, 0, 0, 0, 0, 0]
    tracked = follow(world)
    tracked.step(world.frame(0))
    tracked.correct(world.estimate(0, "a"))
    first = run(tracked, world, 1, 10).items[0]
    second = tracked.step(world.frame(10)).items[0]
    np.testing.assert_allclose(first.cam_from_obj, second.cam_from_obj, atol=1e-3)


def test_instances_of_an_object_that_was_removed_go():
    world = World(a="box", b="can")
    models = dict(MODELS)
    tracked = TrackedObjects(world.track, lambda: models, TrackingConfig())
    tracked.step(world.frame(0))
    tracked.correct(world.estimate(0, "a", "b"))
    assert len(run(tracked, world, 1, 1)) == 2
    del models["box"]
    assert [pose.class_id for pose in run(tracked, world, 2, 2).items] == ["can"]
    tracked.correct(world.estimate(2, "a", "b"))  # of before the removal
    assert [pose.class_id for pose in run(tracked, world, 3, 3).items] == ["can"]


def test_catching_up_skips_frames_in_which_little_moves():
    world = World(a="box")
    tracked = follow(world, buffer_hz=10.0)
    run(tracked, world, 0, 240)
    world.seen_frames.clear()
    tracked.correct(world.estimate(0, "a"))
    assert 2 < len(world.seen_frames) < 30, "80 frames are kept"
    assert len(run(tracked, world, 241, 241)) == 1
