"""Acceptance: thresholds, limits, one owner per pixel, and the reason of an empty result."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sam6d_ros.cad.object_settings import ObjectSettings
from sam6d_ros.errors import InvalidInput
from sam6d_ros.stages.accept import CLAIMED_SHARE, Acceptance, accept
from sam6d_ros.types import Alternative, PoseEstimate, PoseEstimates

SIZE = (10, 20)


def pose(name: str, score: float, columns: slice | None = None, instance: str = "") -> PoseEstimate:
    """A pose whose mask fills some columns of the image."""
    mask = None
    if columns is not None:
        mask = np.zeros(SIZE, bool)
        mask[:, columns] = True
    return PoseEstimate(name, score, np.eye(4), mask=mask, instance_id=instance)


def accepted(*poses: PoseEstimate, exclusive: bool = True, **limits) -> PoseEstimates:
    acceptance = Acceptance(**{"min_score": 0.5, **limits})
    return accept(PoseEstimates(poses, 42, "eye"), acceptance, exclusive)


def names(result: PoseEstimates) -> list[str]:
    return [found.class_id for found in result.items]


def test_what_scores_lower_is_not_returned_and_the_rest_comes_best_first():
    found = accepted(pose("a", 0.5), pose("b", 0.9), pose("c", 0.499))
    assert names(found) == ["b", "a"]
    assert (found.stamp_ns, found.frame_id, found.reason) == (42, "eye", "")


def test_an_objects_own_threshold_goes_first():
    own = {"a": ObjectSettings(min_score=0.1), "b": ObjectSettings(min_score=0.99)}
    poses = (pose("a", 0.2), pose("b", 0.9), pose("c", 0.6))
    assert names(accepted(*poses, by_object=own)) == ["c", "a"]


def test_zero_is_a_threshold():
    assert names(accepted(pose("a", 0.0), min_score=0.0)) == ["a"]
    own = {"a": ObjectSettings(min_score=0.0)}
    assert names(accepted(pose("a", 0.0), by_object=own)) == ["a"]


def test_the_reason_names_the_threshold_that_rejected():
    own = {"a": ObjectSettings(min_score=0.99)}
    strict = accepted(pose("a", 0.9), pose("b", 0.3), by_object=own)
    assert len(strict) == 0
    assert strict.reason == "best pose ('a') scores 0.90; min_score of 'a' is 0.99"
    common = accepted(pose("a", 0.2), pose("b", 0.3), by_object=own)
    assert common.reason == "best pose ('b') scores 0.30; min_score is 0.50"


def test_the_reason_of_no_estimate_stays():
    nothing = PoseEstimates((), 42, "eye", "no candidate could be refined")
    assert accept(nothing, Acceptance(0.5)) == nothing


def test_no_more_than_max_instances_of_an_object_and_the_best_of_them():
    poses = [pose("a", score) for score in (0.6, 0.9, 0.7, 0.8)] + [pose("b", 0.55)]
    assert [p.score for p in accepted(*poses, max_instances=2).items] == [0.9, 0.8, 0.55]
    own = {"a": ObjectSettings(max_instances=3)}
    found = accepted(*poses, max_instances=1, by_object=own)
    assert [p.score for p in found.items] == [0.9, 0.8, 0.7, 0.55]


@pytest.mark.parametrize(("start", "stands"), [(5, True), (4, False)])
def test_a_pixel_has_one_owner(start, stands):
    """Ten columns each; the worse pose falls when more than half of it belongs to the better."""
    found = accepted(pose("a", 0.9, slice(0, 10)), pose("b", 0.8, slice(start, start + 10)))
    assert names(found) == (["a", "b"] if stands else ["a"])
    assert CLAIMED_SHARE == 0.5


def test_a_rejected_pose_owns_nothing():
    own = {"a": ObjectSettings(min_score=0.95)}
    poses = (pose("a", 0.9, slice(0, 10)), pose("b", 0.8, slice(0, 10)))
    assert names(accepted(*poses, by_object=own)) == ["b"]
    limit = (pose("a", 0.9), pose("a", 0.8, slice(0, 10)), pose("b", 0.7, slice(0, 10)))
    assert names(accepted(*limit, max_instances=1)) == ["a", "b"]


def uncertain(name: str, columns: slice, *scores: float) -> PoseEstimate:
    """A pose with alternatives of the same object."""
    others = tuple(Alternative(name, np.eye(4), score) for score in scores[1:])
    return replace(pose(name, scores[0], columns), alternatives=others)


def test_an_instance_with_several_rotations_keeps_its_pixels_from_another_name():
    can = uncertain("can", slice(0, 10), 0.33, 0.33, 0.32)
    assert names(accepted(can, pose("tall can", 0.61, slice(0, 10)))) == []
    assert names(accepted(can, pose("tall can", 0.61, slice(0, 10)), min_score=0)) == ["can"]
    assert names(accepted(can, pose("tall can", 0.61, slice(10, 20)))) == ["tall can"]


def test_an_alternative_of_another_name_is_not_of_the_instance():
    can = replace(
        pose("can", 0.33, slice(0, 10)), alternatives=(Alternative("tall can", np.eye(4), 0.61),)
    )
    assert can.any_right == 0.33
    assert names(accepted(can, pose("tall can", 0.61, slice(0, 10)))) == ["tall can"]


def seen(name: str, score: float, presence: float) -> PoseEstimate:
    """A fused pose with the share of the frames that agree on it."""
    return replace(pose(name, score, slice(0, 10)), presence=presence)


def test_what_too_few_frames_agree_on_is_not_returned_and_owns_nothing():
    poses = (seen("a", 0.9, 0.49), seen("b", 0.8, 0.5))
    assert names(accepted(*poses)) == ["b"]
    assert names(accepted(*poses, min_presence=0.4)) == ["a"]
    none = accepted(*poses, min_presence=0.6)
    assert none.reason == "no instance is in 60% of the frames"
    low = accepted(*poses, min_score=0.85)
    assert low.reason == "best pose ('b') scores 0.80; min_score is 0.85"


def reasons(result: PoseEstimates) -> dict[str, str]:
    return {item.instance_id: item.reason for item in result.rejected}


def test_each_rejected_estimate_names_its_threshold():
    own = {"b": ObjectSettings(min_score=0.95), "c": ObjectSettings(max_instances=1)}
    found = accepted(
        pose("a", 0.9, slice(0, 10), "first"),
        pose("a", 0.8, slice(4, 14), "behind"),
        pose("a", 0.3, slice(14, 20), "weak"),
        pose("b", 0.7, slice(14, 20), "strict"),
        pose("c", 0.7, slice(14, 17), "only"),
        pose("c", 0.6, slice(17, 20), "second"),
        replace(pose("a", 0.85, slice(0, 10), "rare"), presence=0.25),
        by_object=own,
    )
    assert [item.instance_id for item in found.items] == ["first", "only"]
    assert reasons(found) == {
        "rare": "is in 25% of the frames; min_presence is 50%",
        "behind": "60% of its pixels belong to better poses; the limit is 50%",
        "strict": "scores 0.70; min_score of 'b' is 0.95",
        "second": "1 better instance of 'c' accepted before; max_instances of 'c' is 1",
        "weak": "scores 0.30; min_score is 0.50",
    }
    assert [item.score for item in found.rejected] == [0.85, 0.8, 0.7, 0.6, 0.3]


def test_every_estimate_is_accepted_or_rejected_with_a_reason():
    random = np.random.default_rng(0)
    for _ in range(50):
        poses = [
            replace(
                pose(str(random.choice(["a", "b"])), random.random(), instance=f"i{number}"),
                mask=random.random(SIZE) > 0.5,
                presence=random.random(),
            )
            for number in range(8)
        ]
        found = accepted(*poses, max_instances=2, exclusive=bool(random.integers(2)))
        ids = {item.instance_id for item in found.items}
        assert ids.isdisjoint(reasons(found))
        assert ids | set(reasons(found)) == {item.instance_id for item in poses}
        assert all(reasons(found).values())


def test_pixels_are_shared_where_the_backend_says_so():
    poses = (pose("a", 0.9, slice(0, 10)), pose("b", 0.8, slice(0, 10)))
    assert names(accepted(*poses, exclusive=False)) == ["a", "b"]


def test_the_masks_given_stay_as_they_are():
    first = pose("a", 0.9, slice(0, 10))
    accepted(first, pose("b", 0.8, slice(8, 20)))
    assert first.mask is not None
    assert first.mask.sum() == 100


@pytest.mark.parametrize("bad", [{"min_score": 1.5}, {"min_score": float("nan")}])
def test_limits_out_of_range_are_refused(bad):
    with pytest.raises(InvalidInput, match="min_score"):
        Acceptance(**bad)
    with pytest.raises(InvalidInput, match="max_instances"):
        Acceptance(0.5, max_instances=0)
    with pytest.raises(InvalidInput, match=r"min_presence is -0\.1"):
        Acceptance(0.5, min_presence=-0.1)
