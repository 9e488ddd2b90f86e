import json

import cv2
import numpy as np
import pytest

from sam6d_ros.evaluation.reliability import picture, reliability_bins, risk_coverage
from sam6d_ros.evaluation.statistics import calibration_error
from training import plot


def test_bins_hold_all_answers_once_and_agree_with_the_calibration_error():
    rng = np.random.default_rng(0)
    scores = np.append(rng.random(200), [0.0, 1.0])
    right = rng.random(202) < scores
    bins = reliability_bins(scores, right)
    assert sum(item.rate.total for item in bins) == 202
    gap = sum(item.rate.total * abs(item.mean_score - item.rate.value) for item in bins) / 202
    assert gap == pytest.approx(calibration_error(scores, right))


def test_an_empty_bin_is_left_out():
    assert [(b.low, b.rate.count) for b in reliability_bins([0.05, 0.95], [False, True])] == [
        (0.0, 0),
        (0.9, 1),
    ]


def test_the_risk_is_that_of_the_best_answers():
    coverage, risk = risk_coverage([0.2, 0.9, 0.5, 0.7], [False, True, True, False])
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])


def test_the_picture_shows_something_for_answers_and_none():
    few = picture([0.2, 0.8], [False, True])
    none = picture([], [])
    assert few.shape == none.shape
    assert few.dtype == np.uint8
    assert (few != none).any()


def test_evaluations_are_pooled(tmp_path, capsys):
    for name, scores in (("a", [0.9, 0.1]), ("b", [0.8])):
        answers = [{"score": score, "right": score > 0.5} for score in scores]
        (tmp_path / f"{name}.json").write_text(json.dumps({"images": [{"answers": answers}]}))
    files = [str(tmp_path / "a.json"), str(tmp_path / "b.json")]
    assert plot.main([str(tmp_path / "out.png"), *files]) == 0
    assert cv2.imread(str(tmp_path / "out.png")) is not None
    assert capsys.readouterr().out == "3 poses, calibration error 0.133\n"
