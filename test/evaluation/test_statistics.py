"""Laws and golden values of the statistics of answers."""

import math

import numpy as np
import pytest

from sam6d_ros.evaluation.statistics import Rate, average_precision, calibration_error


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    # R 4.3, binom::binom.confint(x, n, methods = "wilson")
    [(8, 10, 0.490162, 0.943318), (0, 10, 0.0, 0.277533), (10, 10, 0.722467, 1.0)],
)
def test_wilson_intervals(count, total, low, high):
    assert Rate(count, total).interval == pytest.approx((low, high), abs=1e-5)


def test_the_rate_of_nothing_is_unknown():
    assert math.isnan(Rate(0, 0).value)
    assert Rate(0, 0).interval == (0.0, 1.0)


def test_average_precision_by_hand():
    """Right, wrong, right of three: precision 1 up to a third, 2/3 up to two thirds."""
    found = average_precision([0.9, 0.8, 0.7], [True, False, True], 3)
    assert found == pytest.approx((1 + 2 / 3) / 3)


def test_average_precision_depends_on_the_order_alone():
    rng = np.random.default_rng(0)
    scores, right = rng.random(50), rng.random(50) < 0.5
    expected = average_precision(scores, right, 40)
    assert average_precision(scores**3, right, 40) == pytest.approx(expected)
    order = rng.permutation(50)
    assert average_precision(scores[order], right[order], 40) == pytest.approx(expected)


def test_perfect_answers_have_average_precision_one():
    assert average_precision([0.2, 0.1], [True, True], 2) == 1.0
    assert average_precision([], [], 2) == 0.0
    assert math.isnan(average_precision([0.5], [False], 0))


def test_calibration_error_by_hand():
    assert calibration_error([0.95, 0.95], [True, False]) == pytest.approx(0.45)
    assert calibration_error([1.0, 0.0], [True, False]) == 0.0
    assert math.isnan(calibration_error([], []))


def test_probabilities_that_are_kept_are_calibrated():
    rng = np.random.default_rng(1)
    p = rng.random(200_000)
    assert calibration_error(p, rng.random(len(p)) < p) < 0.01
