"""Labels of recordings: a dataset that others read, resumable."""

from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest
from support.fleet_frames import CAMERA, write_frames

from sam6d_ros.apps.cli.main import main
from sam6d_ros.errors import InvalidDataset
from sam6d_ros.evaluation.bop import BopDataset
from sam6d_ros.fleet.recordings import FolderRecording, recording_folders
from sam6d_ros.geometry import rle

pytestmark = pytest.mark.slow  # searches in eight images

IMAGES = 4


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Two recordings of some images, the first one with a depth image that cannot be read."""
    root = tmp_path_factory.mktemp("label")
    write_frames(root / "set", IMAGES)
    for name in ("a", "b"):
        shutil.copytree(root / "set/test/000002", root / "frames" / name)
    (root / "frames/a/depth/000002.png").write_bytes(b"no image")
    return root


def words(root, out):
    frames, objects = root / "frames", root / "set/objects.yaml"
    options = ("--objects", objects, "--backend", "geometric", "--cache-dir", root / "cache")
    return [str(word) for word in ("label", "--frames", frames, "--out", out, *options)]


@pytest.fixture(scope="module")
def labels(recordings):
    out = recordings / "labels"
    assert main(words(recordings, out)) == 2  # one frame is bad input
    return out


def scene_json(labels, name, scene="000001"):
    return json.loads((labels / "train" / scene / name).read_text())


def test_the_labels_are_a_dataset_that_can_be_read(labels, recordings):
    dataset = BopDataset(labels, "train")
    assert dataset.scene_ids == [0, 1]
    assert [image for scene, image in dataset.images() if scene == 0] == [1, 3, 4]
    original = BopDataset(recordings / "set")
    for image in range(1, IMAGES + 1):
        copied, frame = dataset.frame(1, image), original.frame(2, image)
        assert np.array_equal(copied.depth, frame.depth)
        assert np.array_equal(copied.rgb, frame.rgb)
        (truth,) = dataset.ground_truth(1, image)
        (known,) = original.ground_truth(2, image)
        assert np.allclose(truth.cam_from_obj[:3, 3], known.cam_from_obj[:3, 3], atol=0.02)


def test_masks_are_the_same_in_all_files(labels):
    info, coco = scene_json(labels, "scene_gt_info.json"), scene_json(labels, "scene_gt_coco.json")
    assert [image["id"] for image in coco["images"]] == list(range(1, IMAGES + 1))
    assert {image["width"] for image in coco["images"]} == {CAMERA.width}
    assert coco["categories"] == [{"id": 1, "name": "box"}]
    for annotation in coco["annotations"]:
        image = annotation["image_id"]
        file = labels / "train/000001/mask_visib" / f"{image:06d}_000000.png"
        mask = rle.decode(annotation["segmentation"])
        assert np.array_equal(cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) > 0, mask)
        assert info[str(image)][0]["bbox_visib"] == annotation["bbox"]
        assert info[str(image)][0]["px_count_visib"] == annotation["area"] == mask.sum()


def test_frames_that_fail_are_listed(labels):
    (failed,) = json.loads((labels / "failed.json").read_text()).items()
    assert failed[0].endswith("frames/a/000002.png")
    assert "no image that OpenCV can read" in failed[1]["message"]


def test_another_call_does_no_work_twice(labels, recordings, capsys):
    def content():
        files = [*(labels / "train").rglob("*.json"), *(labels / "shards").iterdir()]
        return {path: path.read_bytes() for path in files}

    before = content()
    assert main(words(recordings, labels)) == 2
    assert "all frames are done already" in capsys.readouterr().err
    assert content() == before


def test_other_objects_need_another_folder(labels, recordings, capsys):
    assert main([*words(recordings, labels), "--min-score", "0.9"]) == 2
    assert "minimum score differ" in capsys.readouterr().err


def test_images_without_numbers_are_counted(recordings, tmp_path):
    shutil.copytree(recordings / "frames/b", tmp_path / "c")
    (tmp_path / "c/scene_camera.json").unlink()
    camera = {"fx": 120, "fy": 120, "cx": 47.5, "cy": 35.5}
    (tmp_path / "c/camera.json").write_text(json.dumps(camera))
    for folder in ("rgb", "depth"):
        (tmp_path / "c" / folder / "000001.png").rename(tmp_path / "c" / folder / "first.png")
    images = FolderRecording(tmp_path / "c", every=2).images
    assert [image.im_id for image in images] == [0, 2]


def test_a_folder_without_recordings_is_refused(tmp_path):
    with pytest.raises(InvalidDataset, match="has no recording in it"):
        recording_folders(tmp_path)
