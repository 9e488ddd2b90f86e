"""`sam6d eval`: detection targets, sensors, and runs in which nothing can be scored."""

from __future__ import annotations

import json
import shutil

import pytest
from support.bop_folder import BopFolder, dump

ROW = "{},{},{},0.5,1 0 0 0 1 0 0 0 1,0 0 500,1\n"


def test_detection_targets_report_average_precision_and_miss_nothing_absent(
    sam6d, stages, tmp_path
):
    root = BopFolder(tmp_path / "set", with_targets=False).write()
    dump(root / "test_targets_bop24.json", [{"scene_id": 3, "im_id": 7}])
    gt = json.loads((root / "test/000003/scene_gt.json").read_text())
    dump(root / "test/000003/scene_gt.json", {"7": gt["7"][:1]})
    dump(root / "test/000003/scene_gt_info.json", {"7": [{"visib_fract": 1.0}]})
    stages.scores = {"obj_000005": 0.4}
    scores = tmp_path / "scores.json"
    code, out, err = sam6d("eval", root, "--json", scores)
    assert code == 0, err
    assert "AP 1.00" in out
    values = json.loads(scores.read_text())
    assert [t["obj_id"] for t in values["targets"]] == [1]
    assert values["summary"]["all"]["targets"] == 1
    assert values["detection"]["instances"] == 1
    assert values["detection"]["wrong"] == 1


def test_a_sensor_is_chosen_by_option(sam6d, tmp_path):
    root = BopFolder(tmp_path / "set", sensor="xyz").write()
    scene = root / "test/000003"
    shutil.copy(scene / "scene_camera_xyz.json", scene / "scene_camera_b.json")
    shutil.copytree(scene / "depth_xyz", scene / "depth_b")
    code, _, err = sam6d("eval", root)
    assert code == 2
    assert "--sensor" in err
    code, out, err = sam6d("eval", root, "--sensor", "xyz")
    assert code == 0, err
    assert "100.0" in out


@pytest.mark.parametrize("from_csv", [False, True])
def test_an_evaluation_without_ground_truth_fails_with_the_reason(sam6d, tmp_path, from_csv):
    """The exit code was 0."""
    root = BopFolder(tmp_path / "set", with_truth=False).write()
    (tmp_path / "theirs.csv").write_text(ROW.format(3, 7, 1))
    words = ["--from-csv", tmp_path / "theirs.csv"] if from_csv else []
    code, _, err = sam6d("eval", root, *words)
    assert code == 2
    assert "has ground truth (scene_gt.json)" in err


@pytest.mark.parametrize("row", ["", ROW.format(4, 7, 1), ROW.format(3, 8, 1), ROW.format(3, 7, 2)])
def test_results_of_other_images_are_refused(sam6d, folder, tmp_path, row):
    path = tmp_path / "theirs.csv"
    path.write_text("scene_id,im_id,obj_id,score,R,t,time\n" + row)
    code, _, err = sam6d("eval", folder.write(), "--from-csv", path)
    assert code == 2
    assert "no row of" in err
    assert "scene 3, image 7" in err


def test_images_without_annotations_are_counted(sam6d, folder):
    root = folder.write()
    gt = json.loads((root / "test/000003/scene_gt.json").read_text())
    dump(root / "test/000003/scene_gt.json", {"7": gt["7"]})
    code, _, err = sam6d("eval", root)
    assert code == 0
    assert "1 of 2 images have no ground truth" in err
