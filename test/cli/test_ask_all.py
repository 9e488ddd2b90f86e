"""`sam6d eval --ask-all`: the whole catalogue in every image."""

import json

import pytest
from bop_folder import BopFolder


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
