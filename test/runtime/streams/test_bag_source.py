"""Streams of ROS 2 bags, read without ROS."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.bop_folder import BopFolder
from support.rtsp import wait_for

pytest.importorskip("rosbags", reason="missing: pip install -e '.[bags]'")

from rosbags.rosbag2 import StoragePlugin
from support.plain_bag import write_bag

from sam6d_ros.evaluation.bop import BopDataset
from sam6d_ros.runtime.streams import SourcePolicy, StreamState


@pytest.fixture
def frames(tmp_path: Path):
    """The two frames of a synthetic dataset."""
    dataset = BopDataset(BopFolder(tmp_path / "data").write())
    return [dataset.frame(scene, image) for scene, image in dataset.images()]


@pytest.fixture
def played(tmp_path: Path, opened):
    """Play a bag below the root."""
    return lambda path: opened(f"bag:{path}", SourcePolicy(roots=(tmp_path,)))


def reason_of(stream) -> str:
    wait_for(lambda: stream.status.state is StreamState.FAILED, "the failure")
    return stream.status.reason


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("plugin", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_a_bag_gives_its_frames_with_depth_again_and_again(
    tmp_path, frames, played, compressed, plugin
):
    path = write_bag(tmp_path / "bag", frames, compressed=compressed, plugin=plugin)
    stream = played(path)
    with stream.subscribe() as viewer:
        pictures = [viewer.next(10) for _ in range(5)]
    found = [picture.frame for picture in pictures]
    for one in found:
        np.testing.assert_array_equal(one.camera.matrix, frames[0].camera.matrix)
        same = [np.array_equal(one.rgb, frame.rgb) for frame in frames]
        assert any(same)
        depth = frames[same.index(True)].depth
        np.testing.assert_allclose(one.depth, depth, atol=0.6e-3 if compressed else 0)
    stamps = [frame.stamp_ns for frame in found]
    assert stamps == sorted(set(stamps))


def test_a_bag_file_alone_is_taken_and_ends_without_loop(tmp_path, frames, opened):
    from sam6d_ros.runtime.streams import ReadSettings

    (file,) = write_bag(tmp_path / "bag", frames).glob("*.mcap")
    stream = opened(
        f"bag:{file}", SourcePolicy(roots=(tmp_path,)), reading=ReadSettings(loop=False)
    )
    wait_for(lambda: stream.status.state is StreamState.ENDED, "the end")
    assert stream.status.pictures == len(frames)


def test_stamps_that_are_apart_are_not_paired(tmp_path, frames, played):
    near = played(write_bag(tmp_path / "near", frames, depth_delay_s=0.01))
    far = played(write_bag(tmp_path / "far", frames, depth_delay_s=0.024))
    wait_for(lambda: near.status.pictures >= 2, "pictures")
    assert "within 0.02 s" in reason_of(far)


def test_what_is_no_bag_of_a_camera_is_named(tmp_path, frames, played, opened):
    (tmp_path / "text.mcap").write_text("no bag")
    assert "no readable ROS 2 bag" in reason_of(played(tmp_path / "text.mcap"))
    assert "no topic that can be the colour image" in reason_of(
        played(write_bag(tmp_path / "empty", []))
    )
    other = tmp_path / "other"
    other.mkdir()
    bag = write_bag(tmp_path / "bag", frames)
    assert "--allow-root" in reason_of(opened(f"bag:{bag}", SourcePolicy(roots=(other,))))
    assert "does not exist" in reason_of(played(tmp_path / "none"))


def test_a_damaged_bag_gives_what_can_be_read(tmp_path, frames, played):
    (file,) = write_bag(tmp_path / "bag", frames * 10).glob("*.mcap")
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    assert "no readable ROS 2 bag" in reason_of(played(file))


def test_the_missing_package_is_named(tmp_path, frames, played, monkeypatch):
    bag = write_bag(tmp_path / "bag", frames)
    for name in [*sys.modules]:
        if name.startswith(("rosbags", "sam6d_ros.frames.bags")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rosbags.interfaces", None)
    monkeypatch.setitem(sys.modules, "rosbags.rosbag2", None)
    assert ".[bags]" in reason_of(played(bag))


def test_bags_are_read_without_ros():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('rclpy', 'sensor_msgs', 'cv_bridge')))\n"
        "from sam6d_ros.frames.bags import pairs, reader, topics\n"
        "from sam6d_ros.frames.messages import frames\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
