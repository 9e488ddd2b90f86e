"""`sam6d eval --ask-all`: the whole catalogue in every image."""

import json

import cv2
import pytest
from support.bop_folder import BopFolder, gt


def test_right_poses_of_all_objects_have_recall_and_precision_one(sam6d, folder, tmp_path):
    scores = tmp_path / "scores.json"
    code, out, err = sam6d("eval", folder.write(), "--ask-all", "--json", scores)
    assert code == 0, err
    assert "precision" in out
    values = json.loads(scores.read_text())
    summary = values["summary"]
    assert summary["images"] == 2
    assert summary["recall"]["count"] == summary["recall"]["total"] == 4
    assert summary["precision"]["count"] == summary["precision"]["total"] == 4
    assert summary["average_precision"] == 1.0
    assert [image["missed"] for image in values["images"]] == [[], []]


def test_the_reliability_of_all_poses_is_drawn(sam6d, folder, tmp_path):
    path, dataset = tmp_path / "new" / "reliability.png", folder.write()
    assert sam6d("eval", dataset, "--ask-all", "--reliability", path)[0] == 0
    assert cv2.imread(str(path)) is not None
    code, _, err = sam6d("eval", dataset, "--ask-all", "--reliability", tmp_path / "x.abc")
    assert code == 2
    assert "expected a name with .png" in err


def with_instance_in_the_air(root):
    """Add an instance to the truth of image 7, where the scene shows the wall."""
    floating = gt(5) | {"cam_t_m2c": [0.0, -150.0, 600.0]}
    for name, entry in (("scene_gt", floating), ("scene_gt_info", {"visib_fract": 1.0})):
        path = root / "test" / "000003" / f"{name}.json"
        values = json.loads(path.read_text())
        values["7"].append(entry)
        path.write_text(json.dumps(values))
    return root


def test_the_stage_at_which_an_instance_is_lost_is_named(sam6d, folder, tmp_path):
    root, scores = with_instance_in_the_air(folder.write()), tmp_path / "scores.json"
    words = ("--backend", "geometric", "--ask-all", "--explain-losses", "--json", scores)
    code, out, err = sam6d("eval", root, *words)
    assert code == 0, err
    assert "lost at" in out
    losses = json.loads(scores.read_text())["summary"]["losses"]
    assert {stage: count for stage, count in losses.items() if count} == {"seeds": 1}
    code, _, err = sam6d("eval", root, "--backend", "sam6d", "--ask-all", "--explain-losses")
    assert code == 2
    assert "needs --backend geometric" in err


def test_instances_below_the_visible_share_do_not_count(sam6d, tmp_path):
    folder = BopFolder(tmp_path / "other", visibility={1: 0.3, 5: 1.0})
    scores = tmp_path / "scores.json"
    words = ("--ask-all", "--min-visible", 0.5, "--json", scores)
    assert sam6d("eval", folder.write(), *words)[0] == 0
    summary = json.loads(scores.read_text())["summary"]
    assert summary["instances"] == 2
    assert summary["ignored"] == 2


def test_a_dataset_without_annotations_is_refused(sam6d, tmp_path):
    folder = BopFolder(tmp_path / "other", with_truth=False, with_targets=False)
    code, _, err = sam6d("eval", folder.write(), "--ask-all")
    assert code == 2
    assert "annotated" in err


@pytest.mark.parametrize("words", [("--min-visible", "1.5"), ("--csv", "x.csv"), ("--boxes", "gt")])
def test_options_that_do_not_fit_are_refused(sam6d, folder, words):
    code, _, err = sam6d("eval", folder.write(), "--ask-all", *words)
    assert code == 2
    assert words[0] in err
