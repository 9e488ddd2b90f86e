"""Thinning hypotheses out: the best of each place stay, whatever the others score."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from support.still_life import moved

from sam6d_ros.geometry import se3
from sam6d_ros.stages.geometric.hypotheses import SAME_ANGLE, SAME_SHIFT, Hypotheses, diverse

ORIGIN = np.zeros(3)
DIAMETER = 0.2
HERE = se3.exp([0, 0, 0.6, 0.2, 0.1, 0])


def of(*rows):
    """Hypotheses from (pose, score, place)."""
    poses, scores, places = zip(*rows, strict=True)
    return in_places(np.stack(poses), np.array(scores), np.array(places))


def in_places(poses, scores, places):
    """Hypotheses whose places are given."""
    return replace(Hypotheses.from_poses(poses, scores, places), place=places)


def crowd(seed, count=300):
    rng = np.random.default_rng(seed)
    shift, turn = rng.uniform(-0.02, 0.02, (count, 3)), rng.normal(size=(count, 3)) * 0.2
    poses = HERE @ se3.exp(np.hstack([shift, turn]))
    return in_places(poses, rng.random(count), rng.integers(1, 4, count))


def alike(a, b):
    shift = np.linalg.norm(a[:3, 3] - b[:3, 3])
    angle = se3.rotation_angle(a[:3, :3], b[:3, :3])
    return shift < SAME_SHIFT * DIAMETER and angle < SAME_ANGLE


def test_of_two_alike_the_better_stays():
    near = moved(HERE, (0.005, 0, 0), (0, 5, 0))
    kept = diverse(of((HERE, 0.4, 1), (near, 0.6, 1)), ORIGIN, DIAMETER, 9)
    assert kept.poses == pytest.approx(near[None])


@pytest.mark.parametrize(("shift", "turn"), [((0.02, 0, 0), (0, 0, 0)), ((0, 0, 0), (0, 20, 0))])
def test_those_that_differ_in_place_or_turn_both_stay(shift, turn):
    other = moved(HERE, shift, turn)
    assert len(diverse(of((HERE, 0.4, 1), (other, 0.6, 1)), ORIGIN, DIAMETER, 9)) == 2


def test_alike_ones_of_different_places_both_stay():
    assert len(diverse(of((HERE, 0.4, 1), (HERE, 0.6, 2)), ORIGIN, DIAMETER, 9)) == 2


def test_the_distance_is_that_of_the_objects_centre():
    """A turn about a far-off CAD origin moves the object."""
    centre = np.array([0.5, 0, 0])
    turned = moved(HERE, (0, 0, 0), (0, 8, 0))
    both = of((HERE, 0.4, 1), (turned, 0.6, 1))
    assert len(diverse(both, ORIGIN, DIAMETER, 9)) == 1
    assert len(diverse(both, centre, DIAMETER, 9)) == 2


@pytest.mark.parametrize("quota", [1, 5, 1000])
@pytest.mark.parametrize("seed", range(3))
def test_what_is_dropped_resembles_a_better_one_or_its_place_is_full(seed, quota):
    everyone = crowd(seed)
    kept = diverse(everyone, ORIGIN, DIAMETER, quota)
    assert (np.diff(kept.score) <= 0).all()
    for place in (1, 2, 3):
        mine, all_mine = kept.place == place, everyone.place == place
        assert 1 <= mine.sum() <= quota
        assert kept.score[mine].max() == everyone.score[all_mine].max()
        stay = list(zip(kept.poses[mine], kept.score[mine], strict=True))
        for k, (pose, _) in enumerate(stay):
            assert not any(alike(pose, better) for better, _ in stay[:k])
        dropped = set(everyone.score[all_mine]) - set(kept.score[mine])
        for index in np.flatnonzero(all_mine & np.isin(everyone.score, list(dropped))):
            score = everyone.score[index]
            better = [pose for pose, s in stay if s > score]
            assert len(better) == quota or any(alike(everyone.poses[index], p) for p in better)


def test_nothing_stays_nothing():
    nothing = crowd(0).take(np.arange(0))
    assert len(diverse(nothing, ORIGIN, DIAMETER, 5)) == 0


def test_poses_go_in_and_out_unchanged():
    poses = se3.from_rotation_translation(
        Rotation.random(5, random_state=1).as_matrix(), np.arange(15).reshape(5, 3)
    )
    both = Hypotheses.joined(*[Hypotheses.from_poses(poses, np.ones(5), np.ones(5, int))] * 2)
    assert np.array_equal(both.poses, np.concatenate([poses, poses]))
    turned = both.with_score(np.arange(10)).take(np.arange(10)[::-1])
    assert np.array_equal(turned.poses, both.poses[::-1])
    assert turned.score.tolist() == list(range(9, -1, -1))
