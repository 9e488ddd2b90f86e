"""Recordings: folders of RGB-D frames."""

import json

import cv2
import numpy as np
import pytest

from sam6d_ros.errors import InvalidDataset
from sam6d_ros.frames.recordings import Recording


@pytest.fixture
def folder(tmp_path):
    """Two frames in the layout of a BOP scene."""
    for name in ("rgb", "depth"):
        (tmp_path / name).mkdir()
    for number in (1, 3):
        cv2.imwrite(str(tmp_path / f"rgb/{number:06}.png"), np.full((4, 6, 3), number, np.uint8))
        depth = np.full((4, 6), 500 * number, np.uint16)
        cv2.imwrite(str(tmp_path / f"depth/{number:06}.png"), depth)
    camera = {"cam_K": [5, 0, 2.5, 0, 5, 1.5, 0, 0, 1], "depth_scale": 1.0}
    (tmp_path / "scene_camera.json").write_text(json.dumps({"1": camera, "3": camera}))
    return tmp_path


def test_a_scene_is_read_in_order(folder):
    recording = Recording(folder)
    assert [recording.frame(i).depth.max() for i in range(len(recording))] == [0.5, 1.5]
    assert Recording(folder, image=3).frame(0).rgb.max() == 3


def test_a_useless_folder_is_refused_with_the_expected_layout(folder):
    with pytest.raises(InvalidDataset, match="does not exist"):
        Recording(folder / "nowhere")
    with pytest.raises(InvalidDataset, match="no image number 2"):
        Recording(folder, image=2)
    (folder / "depth/000003.png").unlink()
    with pytest.raises(InvalidDataset, match=r"depth has no image for 000003.png"):
        Recording(folder)
    (folder / "scene_camera.json").unlink()
    with pytest.raises(InvalidDataset, match="no camera file"):
        Recording(folder)
