"""`sam6d label` on bags: frames are written into the dataset as they are read."""

import json
import re

import numpy as np
import pytest
from support.bag_maker import camera_messages, write_bag

from sam6d_ros.apps.cli.main import main
from sam6d_ros.apps.ros.conversions import frame_from_messages
from sam6d_ros.evaluation.bop import BopDataset


@pytest.fixture
def label(colour_stages, objects, tmp_path, capsys):
    """Run the command on a bag; returns (exit code, stderr), the result is in `out`."""

    def run(bag, *args):
        words = ["label", "--frames", bag, "--out", tmp_path / "out", "--objects", objects, *args]
        code = main([str(w) for w in (*words, "--cache-dir", tmp_path / "cache")])
        return code, re.sub(r"\s+", " ", capsys.readouterr().err)

    return run


def test_a_bag_becomes_a_scene_with_its_images_and_labels(label, tmp_path):
    frames = [camera_messages(index) for index in range(4)]
    frames[2][2].k[0] = 0.0  # no focal length
    code, err = label(write_bag(tmp_path / "bag", frames))
    assert code == 2
    assert "focal" in err or "fx" in err
    dataset = BopDataset(tmp_path / "out", "train")
    assert dataset.images() == [(0, 0), (0, 1), (0, 3)]
    seen, read = frame_from_messages(*frames[1]), dataset.frame(0, 1)
    assert np.array_equal(read.rgb, seen.rgb)
    assert np.allclose(read.depth, seen.depth, atol=1e-4)
    names = json.loads((tmp_path / "out/models/models_info.json").read_text())
    found = [names[str(truth.obj_id)]["name"] for truth in dataset.ground_truth(0, 1)]
    assert sorted(found) == sorted(entry["name"] for entry in names.values())


def test_every_nth_frame_is_labelled_and_none_twice(label, tmp_path):
    bag = write_bag(tmp_path / "bag", [camera_messages(index) for index in range(5)])
    assert label(bag, "--every", 2)[0] == 0
    assert [image for _, image in BopDataset(tmp_path / "out", "train").images()] == [0, 2, 4]
    code, err = label(bag, "--every", 2)
    assert code == 0
    assert "all frames are done already" in err
    assert len([*(tmp_path / "out/train").iterdir()]) == 1
