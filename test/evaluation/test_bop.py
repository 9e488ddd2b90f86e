"""Reading of BOP-format folders, in the variants that datasets come in."""

from __future__ import annotations

import numpy as np
import pytest
from support.bop_folder import POSES, BopFolder, dump, render

from sam6d_ros.errors import InvalidDataset, InvalidFrame
from sam6d_ros.evaluation.bop import BopDataset

RGB, DEPTH = render()


@pytest.mark.parametrize(
    "variant",
    [
        {},
        {"depth_scale": 1.0},
        {"suffix": ".jpg"},
        {"stem_digits": 4},
        {"stem_digits": 1},
        {"color_dir": "gray", "suffix": ".tif"},
    ],
)
def test_frames_of_all_variants_are_the_same_scene(tmp_path, variant):
    dataset = BopDataset(BopFolder(tmp_path / "set", **variant).write())
    frame = dataset.frame(3, 7)
    half_unit = 0.5e-3 * variant.get("depth_scale", 0.1)
    assert np.abs(frame.depth - DEPTH).max() <= half_unit + 1e-6
    assert frame.camera.fx == 200
    if not variant.get("color_dir"):
        difference = np.abs(frame.rgb.astype(int) - RGB)
        assert np.median(difference) <= (3 if variant.get("suffix") == ".jpg" else 0)


def test_targets_come_from_the_file_in_order(tmp_path):
    dataset = BopDataset(BopFolder(tmp_path / "set").write())
    found = [(t.scene_id, t.im_id, t.counts) for t in dataset.targets()]
    assert found == [(3, 7, {1: 1, 5: 1}), (3, 12, {1: 1, 5: 1})]
    assert [t.counts for t in dataset.targets(obj_ids=[5])] == [{5: 1}, {5: 1}]


def test_without_a_targets_file_visible_annotations_are_the_targets(tmp_path):
    folder = BopFolder(tmp_path / "set", with_targets=False, visibility={1: 0.05, 5: 0.5})
    assert [t.counts for t in BopDataset(folder.write()).targets()] == [{5: 1}, {5: 1}]


def test_without_annotations_every_model_is_looked_for(tmp_path):
    folder = BopFolder(tmp_path / "set", with_targets=False, with_truth=False)
    dataset = BopDataset(folder.write())
    assert [t.counts for t in dataset.targets()] == [{1: 1, 5: 1}] * 2
    assert dataset.ground_truth(3, 7) is None


def test_ground_truth_is_in_metres(tmp_path):
    dataset = BopDataset(BopFolder(tmp_path / "set", visibility={1: 0.5, 5: 1}).write())
    truth = dataset.ground_truth(3, 12)
    assert [gt.obj_id for gt in truth] == [1, 5]
    assert [gt.visibility for gt in truth] == [0.5, 1.0]
    assert truth[1].cam_from_obj == pytest.approx(POSES[5])


def test_a_val_split_is_found_and_another_can_be_named(tmp_path):
    root = BopFolder(tmp_path / "set").write()
    (root / "test").rename(root / "val")
    assert BopDataset(root).frame(3, 7).has_depth
    (root / "val").rename(root / "train_pbr")
    assert BopDataset(root, "train_pbr").frame(3, 7).has_depth
    with pytest.raises(InvalidDataset, match="train_pbr"):
        BopDataset(root)


def test_test_folders_with_a_sensor_in_the_name_are_found(tmp_path):
    root = BopFolder(tmp_path / "set").write()
    (root / "test").rename(root / "test_primesense")
    assert BopDataset(root).scene_ids == [3]


def test_errors_name_what_is_wrong(tmp_path):
    with pytest.raises(InvalidDataset, match="does not exist"):
        BopDataset(tmp_path / "nowhere")
    root = BopFolder(tmp_path / "set").write()
    dataset = BopDataset(root)
    with pytest.raises(InvalidDataset, match="scene 4"):
        dataset.frame(4, 7)
    with pytest.raises(InvalidDataset, match="no image 8"):
        dataset.frame(3, 8)
    with pytest.raises(InvalidDataset, match="no target"):
        dataset.targets(obj_ids=[99])
    (root / "test/000003/depth/000007.png").unlink()
    with pytest.raises(InvalidDataset, match=r"depth/000007"):
        dataset.frame(3, 7)


def test_damaged_files_are_named(tmp_path):
    root = BopFolder(tmp_path / "set").write()
    (root / "test_targets_bop19.json").write_text("[{")
    with pytest.raises(InvalidDataset, match="test_targets_bop19"):
        BopDataset(root).targets()
    dump(root / "test/000003/scene_camera.json", ["not", "a", "map"])
    with pytest.raises(InvalidDataset, match="scene_camera"):
        BopDataset(root).frame(3, 7)


def test_a_damaged_image_is_named(tmp_path):
    root = BopFolder(tmp_path / "set").write()
    (root / "test/000003/rgb/000007.png").write_bytes(b"no image")
    with pytest.raises(InvalidFrame, match=r"000007\.png"):
        BopDataset(root).frame(3, 7)
