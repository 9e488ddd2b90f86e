"""Laws of fusing several frames of things at rest into one result."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.symmetric_boxes import (
    COVARIANCE,
    GROUPS,
    HALF_TURNS,
    OFF_AXIS,
    jittered,
    model,
    random_member,
    random_pose,
)

from sam6d_ros.cad.model import Symmetries
from sam6d_ros.cad.object_settings import ObjectSettings
from sam6d_ros.cad.symmetry.equivalence import displacement, nearest_equivalent
from sam6d_ros.errors import InvalidInput, InvalidObjects
from sam6d_ros.geometry import se3
from sam6d_ros.runtime.fusion import accepted_fusion, fuse
from sam6d_ros.stages.accept import Acceptance
from sam6d_ros.types import PoseEstimate, PoseEstimates

groups = st.sampled_from(sorted(GROUPS))
seeds = st.integers(0, 10_000)


def estimate(pose, score=0.8, covariance=None, **more):
    return PoseEstimate(more.pop("class_id", "box"), score, pose, covariance, **more)


def frames_of(*items_per_frame):
    return [
        PoseEstimates(tuple(items), stamp_ns=number, frame_id="cam", reason="" if items else "none")
        for number, items in enumerate(items_per_frame, start=1)
    ]


def fused_pose(poses, group="none", **more):
    frames = frames_of(*[[estimate(pose, **more)] for pose in poses])
    (fused,) = fuse(frames, {"box": model(group)}).items
    return fused


@given(groups, seeds, st.integers(1, 6))
def test_fusing_equal_poses_changes_nothing(group, seed, count):
    pose = random_pose(np.random.default_rng(seed))
    fused = fused_pose([pose] * count, group, score=0.6)
    assert np.allclose(fused.cam_from_obj, pose, atol=1e-9)
    assert fused.score == pytest.approx(0.6)
    assert fused.presence == 1


@settings(deadline=None)
@given(groups, seeds, st.permutations(range(5)))
def test_the_order_of_the_frames_does_not_matter(group, seed, order):
    rng = np.random.default_rng(seed)
    places = [random_pose(rng) for _ in range(3)]
    frames = frames_of(
        *[[estimate(jittered(p, rng), rng.uniform(0.5, 0.9)) for p in places] for _ in order]
    )
    models = {"box": model(group)}
    first, second = fuse(frames, models), fuse([frames[i] for i in order], models)
    assert first.stamp_ns == second.stamp_ns == 5
    assert [p.score for p in first.items] == [p.score for p in second.items]
    for a, b in zip(first.items, second.items, strict=True):
        assert np.array_equal(a.cam_from_obj, b.cam_from_obj)


@settings(deadline=None)
@given(groups, seeds)
def test_equivalent_poses_of_a_symmetric_object_fuse_to_one_of_them(group, seed):
    """Flips and rotations that no image shows must not average into a pose in between."""
    rng = np.random.default_rng(seed)
    symmetries, pose = GROUPS[group], random_pose(rng)
    seen = [pose @ random_member(symmetries, rng) for _ in range(6)]
    fused = fused_pose(seen, group)
    assert fused.presence == 1
    corners = model(group).box_corners
    assert nearest_equivalent(fused.cam_from_obj, pose, symmetries, corners)[1] < 1e-6


@given(groups, seeds)
def test_the_nearest_equivalent_pose_is_found(group, seed):
    rng = np.random.default_rng(seed)
    symmetries, pose = GROUPS[group], random_pose(rng)
    corners, near = model(group).box_corners, jittered(pose, rng)
    hidden = near @ random_member(symmetries, rng)
    motion, remaining = nearest_equivalent(hidden, pose, symmetries, corners)
    assert remaining == pytest.approx(displacement(hidden @ motion, pose, corners))
    assert remaining <= displacement(near, pose, corners) * 1.01


@given(seeds)
def test_the_mean_is_nearer_than_a_single_frame(seed):
    rng = np.random.default_rng(seed)
    pose = random_pose(rng)
    seen = [jittered(pose, rng) for _ in range(25)]
    fused = fused_pose(seen)
    single = np.mean([displacement(p, pose, model().box_corners) for p in seen])
    assert displacement(fused.cam_from_obj, pose, model().box_corners) < 0.6 * single


@given(seeds, st.integers(0, 4))
def test_a_pose_that_contradicts_the_others_is_put_aside(seed, odd):
    """A flip at the same place does not move the mean, and counts as not seen."""
    rng = np.random.default_rng(seed)
    pose = random_pose(rng)
    seen = [jittered(pose, rng) for _ in range(5)]
    without = fused_pose([p for i, p in enumerate(seen) if i != odd])
    seen[odd] = pose @ HALF_TURNS[1]
    fused = fused_pose(seen)
    assert np.allclose(fused.cam_from_obj, without.cam_from_obj, atol=1e-9)
    assert fused.presence == pytest.approx(0.8)
    assert fused.score == pytest.approx(0.8 * 0.8)


def test_an_instance_seen_in_one_frame_of_five_scores_low():
    here, there = se3.exp([0, 0, 1, 0, 0, 0]), se3.exp([0.3, 0, 1, 0, 0, 0])
    frames = frames_of(*[[estimate(here)]] * 4, [estimate(here), estimate(there, 0.9)])
    sure, uncertain = fuse(frames, {"box": model()}).items
    assert sure.score == pytest.approx(0.8)
    assert uncertain.score == pytest.approx(0.9 / 5)
    assert np.allclose(uncertain.cam_from_obj, there)


def test_frames_without_an_object_count_as_absence_and_an_empty_end_keeps_the_rest():
    pose = se3.exp([0, 0, 1, 0, 0, 0])
    fused = fuse(frames_of([estimate(pose)], [], []), {"box": model()})
    assert fused.stamp_ns == 3
    assert fused.items[0].score == pytest.approx(0.8 / 3)


def test_nothing_in_any_frame_is_empty_with_the_newest_reason():
    fused = fuse(frames_of([], []), {})
    assert (len(fused), fused.reason, fused.stamp_ns) == (0, "none", 2)


def test_equal_objects_side_by_side_stay_apart_and_classes_do_not_mix():
    rng = np.random.default_rng(0)
    places = [se3.exp([x, 0, 1, 0, 0, 0]) for x in (0, 0.09, 0.3)]
    rounds = [[estimate(jittered(p, rng)) for p in places] for _ in range(4)]
    for items in rounds:
        rng.shuffle(items)
        items.append(estimate(jittered(places[0], rng), class_id="can"))
    fused = fuse(frames_of(*rounds), {"box": model(), "can": model(name="can")})
    assert sorted(p.class_id for p in fused.items) == ["box"] * 3 + ["can"]
    assert {p.presence for p in fused.items} == {1}


def test_covariance_shrinks_with_the_number_of_frames_that_agree():
    pose = se3.exp([0, 0, 1, 0.1, 0.2, 0.3])
    fused = fused_pose([pose] * 4, covariance=COVARIANCE)
    assert np.allclose(fused.covariance, COVARIANCE / 4, rtol=1e-4, atol=1e-12)


@given(seeds, st.integers(2, 8))
def test_covariance_is_never_below_what_the_spread_of_the_poses_says(seed, count):
    rng = np.random.default_rng(seed)
    seen = [jittered(se3.exp([0, 0, 1, 0, 0, 0]), rng, 0.002) for _ in range(count)]
    fused = fused_pose(seen, covariance=COVARIANCE * 1e-4)  # frames that are far too sure
    shifts = np.array([p[:3, 3] for p in seen])
    error_of_mean = ((shifts - shifts.mean(0)) ** 2).sum(0) / (count - 1) / count
    assert (np.diag(fused.covariance)[:3] >= 0.9 * error_of_mean).all()
    assert np.linalg.eigvalsh(fused.covariance).min() > 0


def test_surer_frames_weigh_more():
    near, far = se3.exp([0, 0, 1, 0, 0, 0]), se3.exp([0, 0, 1.004, 0, 0, 0])
    sure, unsure = estimate(near, covariance=COVARIANCE), estimate(far, covariance=3 * COVARIANCE)
    (fused,) = fuse(frames_of([sure], [unsure]), {"box": model()}).items
    assert fused.cam_from_obj[2, 3] == pytest.approx(1.001)


def test_covariance_is_unknown_when_one_pose_has_none():
    pose = se3.exp([0, 0, 1, 0, 0, 0])
    frames = frames_of([estimate(pose, covariance=COVARIANCE)], [estimate(pose)])
    assert fuse(frames, {"box": model()}).items[0].covariance is None


def test_a_turn_about_an_axis_off_the_origin_carries_its_covariance_along():
    """Half a turn moves the CAD origin by 60 cm: what was sure there is unsure here."""
    turned = OFF_AXIS @ HALF_TURNS[3] @ se3.inverse(OFF_AXIS)
    box = replace(model(), symmetries=Symmetries(np.stack([np.eye(4), turned])))
    box = replace(box, obj_from_box=OFF_AXIS)
    pose = se3.exp([0, 0, 1, 0, 0, 0])
    frames = frames_of(
        [estimate(pose, 0.9, COVARIANCE)], [estimate(pose @ turned, 0.8, COVARIANCE)]
    )
    (fused,) = fuse(frames, {"box": box}).items
    assert np.allclose(fused.cam_from_obj, pose, atol=1e-6)
    carried = se3.shift_origin(COVARIANCE, np.array([-0.6, 0, 0]))
    expected = np.linalg.inv(np.linalg.inv(COVARIANCE) + np.linalg.inv(carried))
    assert np.allclose(fused.covariance, expected, rtol=1e-3, atol=1e-10)


@given(seeds)
def test_a_covariance_is_carried_to_another_origin_as_a_difference_is(seed):
    rng = np.random.default_rng(seed)
    pose, shift = random_pose(rng), se3.exp([*rng.normal(size=3), 0, 0, 0])
    difference = rng.normal(size=6) * 1e-6
    there = se3.difference((se3.moved(pose, difference) @ shift)[None], pose @ shift)[0]
    arm = pose[:3, :3] @ shift[:3, 3]
    assert np.allclose(
        se3.shift_origin(np.outer(difference, difference), arm), np.outer(there, there), atol=1e-16
    )


def test_ids_that_all_frames_agree_on_stay():
    here, there = se3.exp([0, 0, 1, 0, 0, 0]), se3.exp([0.3, 0, 1, 0, 0, 0])
    frames = frames_of(
        [estimate(here, instance_id="box_7"), estimate(there, 0.6, instance_id="box_1")],
        [estimate(here, instance_id="box_7"), estimate(there, 0.6, instance_id="box_2")],
    )
    assert [p.instance_id for p in fuse(frames, {"box": model()}).items] == ["box_7", "box_0"]


def test_what_cannot_be_fused_is_refused_with_the_reason():
    pose = se3.exp([0, 0, 1, 0, 0, 0])
    frames = frames_of([estimate(pose)], [estimate(pose)])
    with pytest.raises(InvalidInput, match="one camera"):
        fuse([], {})
    with pytest.raises(InvalidInput, match="other"):
        fuse([frames[0], replace(frames[1], frame_id="other")], {"box": model()})
    with pytest.raises(InvalidObjects, match="box"):
        fuse(frames, {"can": model(name="can")})


def test_thresholds_mean_the_same_after_fusion():
    """Seen in three of five frames at 0.6 each, an instance scores 0.36."""
    here, there = se3.exp([0, 0, 1, 0, 0, 0]), se3.exp([0.3, 0, 1, 0, 0, 0])
    both = [estimate(here, 0.8), estimate(there, 0.6)]
    frames = frames_of(both, both, both, [estimate(here, 0.8)], [estimate(here, 0.8)])
    kept, left_out = accepted_fusion(frames, {"box": model()}, Acceptance(0.5))
    assert [pose.score for pose in kept.items] == pytest.approx([0.8])
    assert left_out == 0
    none, _ = accepted_fusion(frames, {"box": model()}, Acceptance(0.9))
    assert not len(none)
    assert "scores 0.80; min_score is 0.90" in none.reason
    own = Acceptance(0.9, {"box": ObjectSettings(min_score=0.3)})
    assert len(accepted_fusion(frames, {"box": model()}, own)[0]) == 2


def test_a_reason_is_given_when_too_few_frames_agree():
    here, there = se3.exp([0, 0, 1, 0, 0, 0]), se3.exp([0.3, 0, 1, 0, 0, 0])
    frames = frames_of([estimate(here)], [], [estimate(there)])
    none, left_out = accepted_fusion(frames, {"box": model()}, Acceptance(0.1))
    assert (len(none), left_out) == (0, 2)
    assert none.reason == "no instance is in 50% of the frames"
