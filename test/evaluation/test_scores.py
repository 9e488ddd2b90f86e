"""Matching of estimates and targets, and recalls."""

from __future__ import annotations

import numpy as np
import pytest

from sam6d_ros.evaluation import scores
from sam6d_ros.evaluation.bop_truth import GroundTruth
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.runtime.warmup import box_model
from sam6d_ros.types import Frame, PoseEstimate

CAMERA = CameraIntrinsics(200.0, 200.0, 79.5, 59.5, 160, 120)
MODEL = box_model()
LEFT, RIGHT = se3.exp([-0.15, 0, 0.8, 0.4, 0.2, 0]), se3.exp([0.15, 0, 0.8, 0, 0.7, 0.3])


def frame_of(*poses) -> Frame:
    depths = np.stack([MODEL.scene.render(CAMERA, pose).depth for pose in poses])
    rgb = np.zeros((*depths.shape[1:], 3), np.uint8)
    return Frame(rgb, depths.max(axis=0), CAMERA)


def estimate(pose, score=0.5) -> PoseEstimate:
    return PoseEstimate(MODEL.name, score, pose)


def score(estimates, truth, count):
    frame = frame_of(*(gt.cam_from_obj for gt in truth))
    return scores.score_target(estimates, truth, count, MODEL, frame)


@pytest.mark.parametrize(
    ("errors", "threshold", "expected"),
    [
        ([[0.01]], 0.1, 1),
        ([[0.1]], 0.1, 0),  # strictly below
        ([[0.01, 0.02], [0.01, 0.02]], 0.1, 2),  # the second takes the one that is left
        ([[0.01, 9], [0.01, 9]], 0.1, 1),  # two estimates of one instance count once
        ([[0.09, 0.01], [0.01, 9]], 0.1, 2),
        ([], 0.1, 0),
    ],
)
def test_matching(errors, threshold, expected):
    assert scores.matched(np.asarray(errors, float), threshold) == expected


def test_right_poses_give_full_recall():
    truth = [GroundTruth(1, LEFT), GroundTruth(1, RIGHT)]
    result = scores.recalls([score([estimate(RIGHT), estimate(LEFT)], truth, 2)])
    assert result == dict.fromkeys(("add", "add_s", "vsd", "mssd", "mspd", "ar"), 1.0)


def test_nothing_found_gives_no_recall():
    result = scores.recalls([score([], [GroundTruth(1, LEFT)], 1)])
    assert set(result.values()) == {0.0}


def test_recalls_of_nothing_are_unknown():
    assert np.isnan(list(scores.recalls([]).values())).all()


def test_only_as_many_estimates_count_as_are_looked_for():
    wrong = se3.exp([0, 0.1, 0.8, 0, 0, 0])
    truth = [GroundTruth(1, LEFT)]
    shadowed = score([estimate(wrong, 0.9), estimate(LEFT, 0.8)], truth, 1)
    assert shadowed.hits["add"] == 0
    best_first = score([estimate(wrong, 0.8), estimate(LEFT, 0.9)], truth, 1)
    assert best_first.hits["add"] == 1


def test_the_most_visible_instances_are_the_targets():
    truth = [GroundTruth(1, LEFT, 0.05), GroundTruth(1, RIGHT, 0.9)]
    assert score([estimate(RIGHT)], truth, 1).hits["add"] == 1
    assert score([estimate(LEFT)], truth, 1).hits["add"] == 0


def test_a_missing_annotation_counts_as_missed():
    assert scores.recalls([score([estimate(LEFT)], [GroundTruth(1, LEFT)], 2)])["add"] == 0.5


def test_errors_are_in_diameters_and_in_pixels_of_a_640_wide_image():
    shift = 0.1 * MODEL.diameter
    moved = LEFT @ se3.exp([shift, 0, 0, 0, 0, 0])
    errors = scores.pose_errors(moved, LEFT, MODEL, frame_of(LEFT))
    assert errors.add == pytest.approx(0.1)
    assert errors.mssd == pytest.approx(0.1)
    assert errors.rotation_deg == pytest.approx(0, abs=1e-6)
    assert errors.translation_m == pytest.approx(shift)
    pixels = shift * 200 / 0.8 * 640 / 160
    assert 0.5 * pixels < errors.mspd < 1.6 * pixels


def test_recall_never_grows_with_the_error():
    truth = [GroundTruth(1, LEFT)]
    recalls = [
        scores.recalls([score([estimate(LEFT @ se3.exp([0, shift, 0, 0, 0, 0]))], truth, 1)])
        for shift in (0.0, 0.01, 0.02, 0.04, 0.08)
    ]
    for name in ("add", "add_s", "mssd", "mspd", "vsd", "ar"):
        values = [recall[name] for recall in recalls]
        assert values == sorted(values, reverse=True), name
        assert values[0] == 1, name
    assert recalls[-1]["ar"] < 0.5


def test_hits_grow_with_the_threshold():
    result = score(
        [estimate(LEFT @ se3.exp([0.02, 0, 0.01, 0.1, 0, 0]))], [GroundTruth(1, LEFT)], 1
    )
    for name in ("mssd", "mspd", "vsd"):
        assert (np.diff(result.hits[name], axis=-1) >= 0).all(), name
    found = result.hits["mssd"].sum()
    assert found == (result.best[0].mssd < scores.FRACTIONS).sum()
    assert 0 < found < 10
