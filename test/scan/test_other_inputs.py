"""Bags and point clouds as inputs of `sam6d scan`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
from support.plain_bag import DEPTH, INFO, RGB, write_bag

from sam6d_ros.apps.cli.main import main
from sam6d_ros.cad.mesh import load_mesh
from sam6d_ros.cad.objects import read_objects_file
from sam6d_ros.errors import InvalidInput
from sam6d_ros.evaluation.synthetic.orbit import Orbit
from sam6d_ros.scan.bags import bag_motion, bag_recording
from sam6d_ros.scan.points import mesh_of_points
from sam6d_ros.scan.symmetry import check_symmetry


@pytest.fixture(scope="module")
def bag(recorded: Orbit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("rosbags", reason="missing: pip install -e '.[bags]'")
    path = tmp_path_factory.mktemp("bags") / "walk"
    return write_bag(path, recorded.frames, world_from_cam=recorded.world_from_cam)


def test_a_bag_is_scanned_by_the_camera_motion_of_its_tf(bag: Path, tmp_path: Path) -> None:
    out = tmp_path / "scan"
    words = ["scan", "model", str(bag), "--name", "part", "--fixed-frame", "world"]
    assert main([*words, "--every", "2", "--symmetry", "2", "--out", str(out)]) == 0
    size = np.ptp(load_mesh(out / "part.ply").vertices, axis=0)
    assert size == pytest.approx([0.120, 0.07, 0.087], abs=0.008)
    report = json.loads((out / "report.json").read_text())
    assert (report["motion"], report["frames"]) == ("tf", 15)
    (entry,) = read_objects_file(out / "objects.yaml")
    assert len(entry.symmetries.discrete) == 2  # as stated
    assert main(["scan", "check", str(out), str(bag)]) == 0


def test_a_frame_that_moves_with_the_camera_is_named(bag: Path) -> None:
    with pytest.raises(
        InvalidInput, match=r"in the frame 'tool', the camera turns by 0\.0 degrees"
    ):
        bag_motion(bag, bag_recording(bag, 1), "tool")


def test_topics_may_be_stated(bag: Path, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["--name", "part", "--out", "scan", "--rgb-topic", "/nowhere"]
    assert main(["scan", "model", str(bag), *words]) == 2
    assert "the topic /nowhere is not in it; the bag has /cam/" in capfd.readouterr().err
    assert main(["scan", "model", str(folder), *words]) == 2
    assert "is a folder of images; expected a bag" in capfd.readouterr().err
    assert len(bag_recording(bag, 5, (RGB, DEPTH, INFO))) == 6


def test_a_frame_that_is_not_in_the_bag_is_refused(
    bag: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["scan", "model", str(bag), "--name", "part", "--out", str(tmp_path / "scan")]
    assert main([*words, "--fixed-frame", "odom"]) == 2
    assert "expected one of the frames cam, tool, world" in capfd.readouterr().err


def test_a_fixed_frame_of_a_folder_is_refused(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["scan", "model", str(folder), "--name", "part", "--out", str(tmp_path / "scan")]
    assert main([*words, "--fixed-frame", "world"]) == 2
    assert "which has no /tf" in capfd.readouterr().err


@pytest.mark.parametrize("word", ["square", "1", "61", "-2"])
def test_a_symmetry_that_is_none_is_refused(word: str) -> None:
    with pytest.raises(InvalidInput, match="expected auto, none, round, or the number"):
        check_symmetry(word)


def test_a_long_bag_must_be_thinned(bag: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sam6d_ros.scan.bags.MOST_IN_MEMORY", 10)
    with pytest.raises(InvalidInput, match="larger --every than 2"):
        bag_recording(bag, 2)


def test_points_become_a_mesh_with_a_warning(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ball = trimesh.creation.icosphere(4, 0.05)
    points, _ = trimesh.sample.sample_surface(ball, 6000, seed=1)
    cloud, out = tmp_path / "cloud.ply", tmp_path / "ball.ply"
    trimesh.PointCloud(points, colors=np.tile([200, 30, 30, 255], (len(points), 1))).export(cloud)
    assert main(["scan", "points", str(cloud), "--out", str(out)]) == 0
    assert "reconstructed from 6,000 points" in "".join(capfd.readouterr())
    mesh = load_mesh(out)
    assert len(mesh.faces) > 500
    radius = np.linalg.norm(mesh.vertices, axis=1)
    assert np.median(radius) == pytest.approx(0.05, abs=0.001)
    assert mesh.colors is not None
    assert np.abs(np.median(mesh.colors, axis=0) - [200, 30, 30]).max() < 12


@pytest.mark.parametrize("content", [b"", b"ply\nformat ascii 1.0\n", b"\x00" * 100])
def test_files_that_are_no_points_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cloud.ply"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="0 points"):
        mesh_of_points(path)


def test_a_cloud_given_as_a_model_names_the_remedy(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cloud = tmp_path / "cloud.ply"
    trimesh.PointCloud(np.random.default_rng(0).normal(size=(900, 3))).export(cloud)
    assert main(["onboard", str(cloud)]) == 2
    assert "sam6d scan points" in capfd.readouterr().err
