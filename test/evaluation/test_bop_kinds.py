"""Splits, detection targets, sensors and short annotations of BOP folders."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
from support.bop_folder import POSES, BopFolder, dump, models

from sam6d_ros.errors import InvalidDataset
from sam6d_ros.evaluation.bop import BopDataset
from sam6d_ros.evaluation.detection import score_detection
from sam6d_ros.evaluation.results_csv import ImageResult
from sam6d_ros.types import PoseEstimate

RIGHT = {i: PoseEstimate(f"obj_{i:06d}", 0.9, pose) for i, pose in POSES.items()}


@pytest.fixture
def root(tmp_path):
    return BopFolder(tmp_path / "set").write()


def found(dataset):
    return [(t.scene_id, t.im_id, t.counts) for t in dataset.targets()]


@pytest.mark.parametrize("split", ["val", "val_primesense", "train_pbr"])
def test_targets_of_another_split_are_not_read(root, split):
    """The targets of test were asked of every split."""
    shutil.copytree(root / "test", root / split)
    dump(root / "test_targets_bop19.json", [{"scene_id": 3, "im_id": 99, "obj_id": 1}])
    assert found(BopDataset(root, split)) == [(3, im, {1: 1, 5: 1}) for im in (7, 12)]


@pytest.mark.parametrize("split", ["val", "val_primesense"])
@pytest.mark.parametrize("kind", ["bop19", "bop18", "bop24"])
def test_targets_of_the_split_are_read(root, split, kind):
    (root / "test").rename(root / split)
    dump(root / f"val_targets_{kind}.json", [{"scene_id": 3, "im_id": 12, "obj_id": 5}])
    assert found(BopDataset(root, split)) == [(3, 12, {5: 1})]
    assert found(BopDataset(root)) == [(3, 12, {5: 1})]


def test_detection_targets_ask_for_every_model_and_count_those_that_are_there(tmp_path):
    root = BopFolder(tmp_path / "set", with_targets=False, visibility={1: 1.0, 5: 0.05}).write()
    dump(root / "test_targets_bop24.json", [{"scene_id": 3, "im_id": 7}])
    (target,) = BopDataset(root).targets()
    assert (target.detection, target.asked, target.counts) == (True, (1, 5), {1: 1})
    (target,) = BopDataset(root).targets(obj_ids=[5])
    assert (target.asked, target.counts) == ((5,), {})


@pytest.mark.parametrize(
    ("poses", "expected"),
    [
        ([(1, 0.9)], 1.0),
        ([(1, 0.6), (5, 0.9)], 0.5),  # the absent one scores better
        ([(1, 0.9), (5, 0.6)], 1.0),
        ([(5, 0.9)], 0.0),
        ([], 0.0),
    ],
)
def test_average_precision_counts_poses_of_absent_objects(tmp_path, poses, expected):
    root = BopFolder(tmp_path / "set", with_targets=False).write()
    dump(root / "test_targets_bop24.json", [{"scene_id": 3, "im_id": 7}])
    entries = json.loads((root / "test/000003/scene_gt.json").read_text())
    dump(root / "test/000003/scene_gt.json", {"7": entries["7"][:1]})
    dataset = BopDataset(root)
    estimates = tuple((i, replace(RIGHT[i], score=score)) for i, score in poses)
    result = ImageResult(3, 7, estimates, 1.0)
    score = score_detection(dataset, dataset.targets(), [result], models())
    assert score is not None
    assert score.average_precision == pytest.approx(expected)
    assert (score.images, score.instances, score.poses) == (1, 1, len(poses))


@pytest.mark.parametrize("entry", [{"im_id": 7}, {"scene_id": 3}, {"scene_id": 3, "im_id": "x"}])
def test_a_damaged_target_is_named(root, entry):
    """It was a KeyError."""
    dump(root / "test_targets_bop19.json", [entry])
    with pytest.raises(InvalidDataset, match=r"test_targets_bop19.*scene_id and im_id"):
        BopDataset(root).targets()


@pytest.mark.parametrize("color_dir", ["rgb", "gray"])
def test_the_only_sensor_is_taken(tmp_path, color_dir):
    root = BopFolder(tmp_path / "set", sensor="realsense", color_dir=color_dir).write()
    for wanted in (None, "realsense"):
        dataset = BopDataset(root, sensor=wanted)
        assert dataset.frame(3, 7).has_depth
        assert [gt.obj_id for gt in dataset.ground_truth(3, 7)] == [1, 5]
        assert dataset.images() == [(3, 7), (3, 12)]


def test_one_of_several_sensors_must_be_named(tmp_path):
    root = BopFolder(tmp_path / "set", sensor="xyz").write()
    for path in list((root / "test/000003").iterdir()):
        copy = shutil.copytree if path.is_dir() else shutil.copyfile
        copy(path, path.with_name(path.name.replace("_xyz", "_cam_2")))
    with pytest.raises(InvalidDataset, match=r"cam_2, xyz.*--sensor"):
        BopDataset(root)
    with pytest.raises(InvalidDataset, match=r"no sensor 'kinect'.*cam_2, xyz"):
        BopDataset(root, sensor="kinect")
    assert BopDataset(root, sensor="cam_2").frame(3, 7).has_depth


def test_a_sensor_of_files_without_sensor_names_is_refused(root):
    with pytest.raises(InvalidDataset, match="no sensor 'xyz'"):
        BopDataset(root, sensor="xyz")


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"7": [{"visib_fract": 0.5}]}, [0.5, 1.0]),
        ({"7": []}, [1.0, 1.0]),
        ({}, [1.0, 1.0]),
        ({"7": [{"visib_fract": 0.5}, {}, {"visib_fract": 0.1}]}, [0.5, 1.0]),
    ],
)
def test_missing_visible_shares_are_one_and_reported(root, caplog, info, expected):
    """It was a ValueError of zip()."""
    dump(root / "test/000003/scene_gt_info.json", info)
    truth = BopDataset(root).ground_truth(3, 7)
    assert [gt.visibility for gt in truth] == expected
    assert "scene_gt_info.json" in caplog.text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scene_gt", [{"obj_id": 1}]),
        ("scene_gt", [{"obj_id": 1, "cam_R_m2c": [1, 0], "cam_t_m2c": [0, 0, 1]}]),
        ("scene_gt", [7]),
        ("scene_gt_info", [7, 7]),
        ("scene_gt_info", [{"visib_fract": None}] * 2),
    ],
)
def test_damaged_annotations_are_named(root, name, value):
    dump(root / f"test/000003/{name}.json", {"7": value})
    with pytest.raises(InvalidDataset, match=rf"{name}\.json, image 7"):
        BopDataset(root).ground_truth(3, 7)
