"""Matching of the answers to a whole catalogue: right, wrong, twice, hardly seen, absent."""

import numpy as np
import pytest
from support.bop_folder import POSES, BopFolder

from sam6d_ros.cad.bop_models import load_bop_models
from sam6d_ros.evaluation import catalogue
from sam6d_ros.evaluation.bop import BopDataset
from sam6d_ros.evaluation.bop_truth import GroundTruth
from sam6d_ros.geometry import se3
from sam6d_ros.types import PoseEstimate, PoseEstimates

IMAGE = (3, 7)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = BopFolder(tmp_path_factory.mktemp("set")).write()
    dataset = BopDataset(folder)
    ids = dataset.model_ids()
    return dict(zip(ids, load_bop_models(dataset.models_dir, ids), strict=True))


def pose_of(models, obj_id, score, shift=(0.0, 0.0, 0.0)):
    moved = se3.exp([*shift, 0, 0, 0])
    pose = POSES[obj_id].copy()
    pose[:3, 3] += moved[:3, 3]
    return PoseEstimate(models[obj_id].name, score, pose)


def score(models, poses, truth, min_visible=0.1):
    return catalogue.score_image(
        IMAGE, PoseEstimates(tuple(poses), 0, ""), truth, models, min_visible
    )


def truths(**visibility):
    return [GroundTruth(i, pose, visibility.get(f"o{i}", 1.0)) for i, pose in POSES.items()]


def test_a_right_pose_and_one_of_an_absent_object(models):
    found = score(models, [pose_of(models, 1, 0.9), pose_of(models, 5, 0.6)], truths()[:1])
    assert [answer.right for answer in found.answers] == [True, False]
    assert found.positives == 1
    assert found.missed == ()


def test_only_one_pose_per_instance_is_right(models):
    poses = [pose_of(models, 1, 0.7), pose_of(models, 1, 0.9, (0.001, 0, 0))]
    found = score(models, poses, truths())
    assert [(a.score, a.right) for a in found.answers] == [(0.9, True), (0.7, False)]
    assert found.missed == (models[5].name,)


def test_a_pose_beyond_a_tenth_of_the_diameter_is_wrong(models):
    shift = 0.11 * models[1].diameter
    found = score(models, [pose_of(models, 1, 0.9, (shift, 0, 0))], truths()[:1])
    assert [a.right for a in found.answers] == [False]
    assert found.answers[0].error == pytest.approx(0.11, abs=0.03)


def test_an_instance_that_is_hardly_seen_counts_neither_way(models):
    hidden = truths(o1=0.05)
    found = score(models, [pose_of(models, 1, 0.9)], hidden)
    assert found.answers == ()
    assert found.ignored == 1
    assert found.positives == 1
    wrong = score(models, [pose_of(models, 1, 0.9, (0.3, 0, 0))], hidden)
    assert [a.right for a in wrong.answers] == [False]


def test_objects_that_were_not_asked_do_not_count(models):
    found = score({1: models[1]}, [pose_of(models, 1, 0.9)], truths())
    assert found.positives == 1


def test_the_summary_counts_by_threshold(models):
    images = [
        score(models, [pose_of(models, 1, 0.9), pose_of(models, 5, 0.4, (0.5, 0, 0))], truths())
    ]
    values = catalogue.summarize(images, 0.5)
    assert (values["recall"].count, values["recall"].total) == (1, 2)
    assert (values["precision"].count, values["precision"].total) == (1, 1)
    assert values["average_precision"] == pytest.approx(0.5)
    assert values["calibration_error"] == pytest.approx((0.1 + 0.4) / 2)
    assert catalogue.summarize(images, 0.0)["precision"].total == 2


def test_an_image_without_annotation_is_left_out(tmp_path, models):
    dataset = BopDataset(BopFolder(tmp_path / "set", with_truth=False, with_targets=False).write())
    assert dataset.images() == [(3, 7), (3, 12)]
    search = lambda frame, names: PoseEstimates((), 0, "")  # noqa: E731
    assert catalogue.search_image(dataset, (3, 7), models, search, 0.1) is None


def test_far_poses_cost_nothing(models):
    assert catalogue.right_error(np.eye(4), POSES[1], models[1]) == np.inf
