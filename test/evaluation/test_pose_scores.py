"""Paired comparison of two ways to find the same targets."""

from __future__ import annotations

import math

import pytest

from benchmarks.pose_scores import Score, difference


def score(*found: bool) -> Score:
    return Score(["part"] * len(found), [0, 0, 1, 1, 2, 2], list(found))


def test_a_difference_is_that_of_the_same_targets() -> None:
    first, second = score(True, True, True, True, False, False), score(*[True, False] * 3)
    result = difference(first, second)
    assert (result.lost, result.won) == (2, 1)
    assert result.recall == pytest.approx(-1 / 6)
    # scenes changed by -1, -1 and +1 of 2 targets: their mean is -1/6, with its standard error
    assert result.error == pytest.approx(math.sqrt(4 / 3 / 3) / 2)
    assert result.chance == pytest.approx(1.0)


def test_equal_results_do_not_differ() -> None:
    result = difference(score(*[True, False] * 3), score(*[True, False] * 3))
    assert (result.recall, result.error, result.chance) == (0, 0, 1)
