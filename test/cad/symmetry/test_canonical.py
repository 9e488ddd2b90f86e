"""Laws of the canonical pose: one among the equivalent ones, stable over noise, nothing lost."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.symmetric_boxes import COVARIANCE, GROUPS, jittered, model, random_member, random_pose

from sam6d_ros.cad.symmetry.canonical import REFERENCE, canonical
from sam6d_ros.geometry import se3
from sam6d_ros.types import Alternative, PoseEstimate

seeds = st.integers(0, 10_000)
SYMMETRIC = sorted(set(GROUPS) - {"none"})


def estimate(pose, **more):
    return PoseEstimate("box", 0.8, pose, COVARIANCE, **more)


@pytest.mark.parametrize("group", SYMMETRIC)
@given(seed=seeds)
def test_equivalent_poses_have_one_canonical_pose(group, seed):
    rng, box = np.random.default_rng(seed), model(group)
    pose = random_pose(rng)
    first = canonical(estimate(pose), box)
    other = canonical(estimate(pose @ random_member(box.symmetries, rng)), box)
    # half way between two of them either may be taken: then both are as near to the reference
    angles = [se3.rotation_angle(REFERENCE, p.cam_from_obj[:3, :3]) for p in (first, other)]
    assert angles[0] == pytest.approx(angles[1], abs=1e-6)
    if np.abs(first.cam_from_obj - other.cam_from_obj).max() > 1e-6:
        assert "flip" in group or "turns" in group


@pytest.mark.parametrize("group", SYMMETRIC)
def test_noise_does_not_change_the_choice_of_square_poses(group):
    rng, box = np.random.default_rng(0), model(group)
    down = se3.exp([0, 0, 0.6, -np.radians(135), 0, 0])  # looks down by 45°
    truth = canonical(estimate(down), box).cam_from_obj
    for _ in range(100):
        noisy = jittered(down, rng, turn_rad=0.01) @ random_member(box.symmetries, rng)
        found = canonical(estimate(noisy), box).cam_from_obj
        angle = np.degrees(se3.rotation_angle(truth[:3, :3], found[:3, :3]))
        assert angle < 12


def test_an_object_without_symmetry_keeps_its_pose():
    pose = estimate(random_pose(np.random.default_rng(1)))
    assert canonical(pose, model()) is pose


def test_the_covariance_moves_along_and_alternatives_are_canonical_too():
    box = model("half turns")
    away = se3.exp([0.2, 0, 0, 0, 0, 0])  # the CAD origin lies 20 cm beside the axis
    motions = away @ box.symmetries.discrete @ se3.inverse(away)
    moved = replace(box, symmetries=replace(box.symmetries, discrete=motions))
    moved = replace(moved, obj_from_box=away @ box.obj_from_box)
    rng = np.random.default_rng(2)
    for _ in range(20):
        pose = random_pose(rng)
        rest = (Alternative("box", pose, 0.3), Alternative("can", pose, 0.1))
        found = canonical(estimate(pose, alternatives=rest), moved)
        arm = found.cam_from_obj[:3, 3] - pose[:3, 3]
        np.testing.assert_allclose(found.covariance, se3.shift_origin(COVARIANCE, arm), atol=1e-12)
        np.testing.assert_allclose(found.alternatives[0].cam_from_obj, found.cam_from_obj)
        assert found.alternatives[1] is rest[1]
        centre = [0.2, 0, 0, 1]  # the centre of the box stays where it is
        np.testing.assert_allclose(found.cam_from_obj @ centre, pose @ centre, atol=1e-9)
