"""Labels and the facts that stand beside a model file."""

import pytest

from sam6d_ros.detectors.labels import COCO_80, COCO_91, read_labels, usable
from sam6d_ros.detectors.manifest import FILE_NAME, InputSpec, Manifest, read_manifest
from sam6d_ros.errors import InvalidConfig


def test_coco_has_91_places_and_80_names():
    assert (len(COCO_91), len(COCO_80), len(set(COCO_80))) == (91, 80, 80)
    assert usable(COCO_91) == COCO_80
    named = {1: "person", 13: "stop sign", 44: "bottle", 62: "chair", 90: "toothbrush"}
    assert {number: COCO_91[number] for number in named} == named  # numbers of the data set


def test_labels_are_read_from_a_file_or_a_set(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("mug\n\n drill \n\n")
    assert read_labels(path) == ("mug", "", "drill")
    assert usable(read_labels(path)) == ("mug", "drill")
    assert read_labels("coco80") == COCO_80
    path.write_text("\n")
    with pytest.raises(InvalidConfig, match="one name a line"):
        read_labels(path)
    with pytest.raises(InvalidConfig, match="coco91"):
        read_labels(tmp_path / "none.txt")


def test_a_manifest_survives_its_file(tmp_path):
    form = InputSpec((480, 640), "center", mean=(0.5, 0.25, 0.125), order="bgr", pad=114)
    kept = Manifest("m", ("a", "b"), form, "yolov8", 0.45, 8, "the authors, MIT")
    (tmp_path / FILE_NAME).write_text(kept.to_json())
    assert read_manifest(tmp_path) == kept


def test_a_short_manifest_takes_defaults_and_a_label_set():
    short = Manifest.from_json('{"name": "m", "labels": "coco80"}', "test")
    assert short == Manifest("m", COCO_80)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no json", "test describes no detector"),
        ("[]", "describes no detector"),
        ('{"name": "m", "colour": 1}', "colour"),
        ('{"name": "m", "layout": "ssd"}', "expected one of boxes"),
        ('{"name": "m", "labels": []}', "no labels"),
        ('{"name": "m", "max_batch": 0}', "1 or more"),
        ('{"name": "m", "nms_iou": 2}', "nms_iou"),
        ('{"name": "m", "layout": "yolox"}', "size_hw"),
        ('{"name": "m", "input": {"fit": "stretch"}}', "need one"),
        ('{"name": "m", "input": {"size_hw": [4], "fit": "center"}}', "height, width"),
        ('{"name": "m", "input": {"order": "gbr"}}', "rgb, bgr"),
        ('{"name": "m", "input": {"std": [1, 0, 1]}}', "positive"),
    ],
)
def test_an_unusable_manifest_is_refused_with_the_reason(text, reason):
    with pytest.raises(InvalidConfig, match=reason):
        Manifest.from_json(text, "test")


def test_a_missing_manifest_names_the_file(tmp_path):
    with pytest.raises(InvalidConfig, match=r"detector\.json.*docs/detectors\.md"):
        read_manifest(tmp_path)
