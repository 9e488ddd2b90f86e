"""Laws of the judge of instances: what stands around a pose, and how it counts."""

import numpy as np
import pytest

from sam6d_ros.stages.geometric.judge import MAX_LOGIT, shipped_instance_judge
from sam6d_ros.stages.geometric.surroundings import (
    MAX_SIBLINGS,
    OF_POSE,
    SURROUNDINGS,
    Instances,
    surroundings,
    together,
)


def frame(*instances):
    """Instances as (name, log odds, cells of 40)."""
    cells = np.zeros((len(instances), 40), bool)
    for row, (_, _, chosen) in zip(cells, instances, strict=True):
        row[list(chosen)] = True
    return Instances(
        tuple(name for name, _, _ in instances),
        np.array([odds for _, odds, _ in instances], float),
        np.zeros(len(instances)),
        cells,
        np.tile([0.8, 7.0, 0.9], (len(instances), 1)),
    )


def column(found, name):
    return surroundings(found)[:, SURROUNDINGS.index(name)]


def test_an_instance_alone_has_no_rivals_and_no_siblings():
    values = surroundings(frame(("mug", 1.5, range(10))))
    assert values[0].tolist() == [1.5, 0, 0, 0, 0.8, 7.0, 0.9]
    assert len(values[0]) == len(SURROUNDINGS) == 4 + len(OF_POSE)


def test_another_name_on_the_same_pixels_is_a_rival_by_its_odds():
    found = frame(("mug", 1.0, range(10)), ("cup", 2.0, range(4, 12)), ("can", 5.0, range(20, 30)))
    assert column(found, "rivals") == pytest.approx([np.log1p(np.e**2), np.log1p(np.e), 0])


def test_the_same_name_elsewhere_is_a_sibling_if_it_is_probable():
    places = [range(k, k + 4) for k in range(0, 40, 4)]
    found = frame(*[("nut", 1.0 if k else -1.0, place) for k, place in enumerate(places)])
    expected = [np.log1p(MAX_SIBLINGS)] * 10
    assert column(found, "siblings") == pytest.approx(expected)
    few = frame(("nut", 1.0, places[0]), ("nut", -1.0, places[1]), ("bolt", 3.0, places[2]))
    assert column(few, "siblings") == pytest.approx([0, np.log(2), 0])


def test_a_rotation_of_one_thing_is_neither_rival_nor_sibling():
    found = frame(("nut", 1.0, range(10)), ("nut", 1.0, range(2, 12)))
    assert column(found, "rivals").tolist() == column(found, "siblings").tolist() == [0, 0]


def test_odds_of_different_poses_are_added():
    assert together(np.array([0.7])) == pytest.approx((0.7, 0))
    assert together(np.zeros(4)) == pytest.approx((np.log(4), np.log(4)))
    odds, turns = together(np.array([3.0, -20.0]))
    assert odds == pytest.approx(3.0)
    assert turns == pytest.approx(0, abs=1e-6)


def test_no_instance_gives_an_empty_table():
    empty = Instances((), np.zeros(0), np.zeros(0), np.zeros((0, 40), bool), np.zeros((0, 3)))
    assert surroundings(empty).shape == (0, len(SURROUNDINGS))


def test_the_shipped_judge_weighs_the_surroundings_by_their_meaning():
    judge = shipped_instance_judge()
    middle = (judge.low + judge.high) / 2
    for name, sign in {"log_odds": 1, "rivals": -1, "siblings": 1, "turns": -1}.items():
        more = middle.copy()
        more[SURROUNDINGS.index(name)] += 0.2
        before, after = judge.probability(np.stack([middle, more]))
        assert sign * (after - before) > 0, name


def test_values_beyond_those_of_training_say_no_more():
    judge = shipped_instance_judge()
    far = np.stack([judge.high, judge.high + 100, judge.low, judge.low - 100])
    found = judge.probability(far)
    assert found[0] == found[1]
    assert found[2] == found[3]
    assert (found >= 1 / (1 + np.exp(MAX_LOGIT))).all()
