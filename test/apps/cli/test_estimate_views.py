"""`sam6d estimate --recording`: one result out of the frames of a moving camera."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sam6d_ros.apps.cli.main import main
from sam6d_ros.evaluation.synthetic.bop_writer import write_bop
from sam6d_ros.evaluation.synthetic.scene import CAMERA, SyntheticScene, make_scene


@pytest.fixture(scope="module")
def scene() -> SyntheticScene:
    return make_scene(
        4, camera=CAMERA.scaled(0.5), targets=["tea_box"], clutter=1, frames=9, path="arc"
    )


@pytest.fixture(scope="module")
def folder(scene: SyntheticScene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """First and last frame, with the poses of the camera beside them."""
    out = write_bop(scene, tmp_path_factory.mktemp("views"))
    recording = out / "test/000000"
    for kind in ("rgb", "depth"):
        for number in range(2, 9):
            (recording / kind / f"{number:06d}.png").unlink()
    cameras = [scene.views[index].world_from_cam.tolist() for index in (0, 8)]
    (recording / "poses.json").write_text(json.dumps(cameras))
    return out


def command(folder: Path, *more: str) -> list[str]:
    recording = folder / "test/000000"
    words = ["estimate", "--recording", str(recording), "--objects", str(folder / "objects.yaml")]
    return [*words, "--poses", str(recording / "poses.json"), "--backend", "geometric", *more]


@pytest.mark.slow
def test_the_views_are_one_result_in_the_last_camera(
    folder: Path, scene: SyntheticScene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(folder)) == 0
    (pose,) = json.loads(capsys.readouterr().out)["poses"]
    (truth,) = scene.views[8].ground_truth
    assert np.allclose(pose["t"], truth.cam_from_obj[:3, 3], atol=0.008)


@pytest.mark.slow
def test_a_bag_is_fused_by_the_camera_poses_of_its_tf(
    folder: Path, scene: SyntheticScene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rosbags", reason="missing: pip install -e '.[bags]'")
    from support.plain_bag import write_bag

    seen = [scene.views[index] for index in (0, 8)]
    frames, cameras = [view.frame for view in seen], [view.world_from_cam for view in seen]
    bag = write_bag(tmp_path / "bag", frames, world_from_cam=cameras)
    words = ["estimate", "--recording", str(bag), "--objects", str(folder / "objects.yaml")]
    words += ["--fixed-frame", "world", "--backend", "geometric", "--out", str(tmp_path / "out")]
    assert main(words) == 0
    assert "0.00 s" not in capsys.readouterr().out
    values = json.loads((tmp_path / "out/poses.json").read_text())
    (truth,) = seen[-1].ground_truth
    assert np.allclose(values["poses"][0]["t"], truth.cam_from_obj[:3, 3], atol=0.008)
    assert values["inputs"] == {"recording": str(bag), "fixed_frame": "world"}


def test_a_folder_has_no_fixed_frame(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["estimate", "--recording", str(folder / "test/000000"), "--fixed-frame", "world"]
    assert main([*words, "--objects", str(folder / "objects.yaml")]) == 2
    assert "is a folder, which has no /tf; expected a bag" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rgb", "a.png"], "--rgb cannot be used with --recording"),
        (["--image-id", "0"], "--image-id cannot be used with --recording"),
    ],
)
def test_options_of_one_frame_are_refused(
    words: list[str], said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(command(tmp_path, *words)) == 2
    assert said in capfd.readouterr().err


def test_missing_options_are_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    objects = ["--objects", str(tmp_path / "objects.yaml")]
    assert main(["estimate", *objects]) == 2
    assert "--rgb, --depth, --camera missing" in capfd.readouterr().err
    assert main(["estimate", *objects, "--recording", str(tmp_path)]) == 2
    said = capfd.readouterr().err
    assert "--recording needs --poses" in said
    assert "for a bag, --fixed-frame" in said


@pytest.mark.slow
def test_another_number_of_poses_is_refused(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    one = tmp_path / "poses.json"
    one.write_text(json.dumps([np.eye(4).tolist()]))
    assert main([*command(folder), "--poses", str(one)]) == 2
    assert "has 1 poses; expected one for each of the 2 frames" in capfd.readouterr().err
