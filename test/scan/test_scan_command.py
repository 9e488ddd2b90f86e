"""`sam6d scan` from the recording to an objects file that the other commands read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from scan.conftest import BOARD, FRAMES, SECOND_FRAMES, Command

from sam6d_ros.apps.cli.main import main
from sam6d_ros.cad.objects import load_objects
from sam6d_ros.errors import InvalidInput
from sam6d_ros.evaluation.synthetic.orbit import Orbit
from sam6d_ros.geometry import se3
from sam6d_ros.scan.board import BoardFinder, parse_board
from sam6d_ros.scan.trajectory import read_poses
from sam6d_ros.types import CameraIntrinsics, Frame


def test_recordings_become_an_objects_file(command: Command) -> None:
    (model,) = load_objects(command.out / "objects.yaml")
    assert model.name == "part"
    assert model.diameter == pytest.approx(0.1636, abs=0.006)  # of the filmed bracket
    report = json.loads((command.out / "report.json").read_text())
    assert report["motion"] == "poses"
    assert report["frames"] == FRAMES + SECOND_FRAMES
    assert {"front.png", "side.png", "top.png"} <= {path.name for path in command.out.iterdir()}


def test_symmetries_are_shown_for_confirmation(command: Command) -> None:
    assert "symmetries: none. To change them" in command.printed
    text = (command.out / "objects.yaml").read_text()
    assert text.startswith("# symmetries were detected")
    assert "symmetries: none" in text


def test_check_prints_a_line_per_frame_of_all_recordings(
    command: Command, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["scan", "check", str(command.out), *map(str, command.recordings)]) == 0
    lines = capfd.readouterr().out.splitlines()
    medians = [float(line.split("median")[1].split()[0]) for line in lines if ": median" in line]
    assert len(medians) == FRAMES + SECOND_FRAMES
    assert max(medians) < 3
    first, second = (line for line in lines if line.startswith("all "))
    assert first.startswith(f"all {FRAMES} frames: half of the medians below ")
    assert f"the largest {max(medians[FRAMES:]):.2f} mm in frame " in second


def test_check_takes_the_mesh_that_the_scan_has_written(
    command: Command, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = shutil.copytree(command.out, tmp_path / "scan")
    (out / "a.ply").write_text("of an earlier scan by another name")
    assert main(["scan", "check", str(out), *map(str, command.recordings)]) == 0, capfd.readouterr()


def test_the_report_has_a_row_of_a_pose_on_a_line(command: Command) -> None:
    lines = (command.out / "report.json").read_text().splitlines()
    assert lines.count("    [ 0.0, 0.0, 0.0, 1.0 ]") == 2  # world_from_obj of both recordings


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--name", "a/b"], "the name is 'a/b'; expected the name of a file"),
        (["--poses", "p.json", "--board", "9x6:30"], "--poses and --board are given; expected one"),
        (["--fixed-frame", "a", "--board", "9x6:30"], "--fixed-frame and --board are given"),
        (["--out", __file__], "is a file; expected a folder"),
        ([], "no_recording does not exist; expected the folder of a ROS 2 bag, or"),
    ],
)
def test_what_cannot_be_done_is_refused_before_the_recording_is_read(
    words: list[str], said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    given = ["--name", "part", "--out", str(tmp_path / "scan"), *words]
    assert main(["scan", "model", str(tmp_path / "no_recording"), *given]) == 2
    assert said in " ".join(capfd.readouterr().err.split())


def test_check_of_another_number_of_recordings_is_refused(
    command: Command, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["scan", "check", str(command.out), str(command.recordings[0])]) == 2
    assert "1 recordings are given; expected the 2" in capfd.readouterr().err


def test_a_folder_without_a_scan_is_refused(folder: Path, tmp_path: Path) -> None:
    assert main(["scan", "check", str(tmp_path), str(folder)]) == 2


@pytest.mark.parametrize("text", ["9x6", "9:6x30", "ax6:30", "2x6:30", "9x6:1", "9x6:nan"])
def test_boards_that_cannot_be_drawn_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="expected"):
        parse_board(text)


def test_the_board_on_paper_is_the_one_that_is_found(tmp_path: Path) -> None:
    path = tmp_path / "board.pdf"
    assert main(["scan", "board", "--pdf", str(path), "--board", "9x6:30"]) == 0
    assert path.read_bytes().startswith(b"%PDF")
    spec = parse_board("9x6:30")
    image = np.pad(spec.image(40), 60, constant_values=255)
    height, width = image.shape
    camera = CameraIntrinsics(500, 500, width / 2, height / 2, width, height)
    rgb = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    frame = Frame(rgb, np.ones(image.shape, np.float32), camera)
    view = BoardFinder(spec).find(frame)
    assert view is not None
    # 40 pixels of 30 mm at a focal length of 500 pixels
    assert view.cam_from_board[2, 3] == pytest.approx(500 * 0.030 / 40, rel=0.01)


def test_the_formats_of_poses_agree(recorded: Orbit, folder: Path, tmp_path: Path) -> None:
    bop = read_poses(folder / "scene_camera.json")
    tum = tmp_path / "poses.txt"
    lines = ["# stamp tx ty tz qx qy qz qw"]
    for index, pose in enumerate(recorded.world_from_cam):
        values = [*pose[:3, 3], *se3.quat_xyzw(pose)]
        lines.append(" ".join(map(str, [index, *values])))
    tum.write_text("\n".join(lines))
    plain = tmp_path / "poses.json"
    plain.write_text(json.dumps([pose.tolist() for pose in recorded.world_from_cam]))
    for poses in (bop, read_poses(tum), read_poses(plain)):
        assert np.allclose(poses, recorded.world_from_cam, atol=1e-6)


@pytest.mark.parametrize(
    "text", ["", "{", "[1, 2]", '{"0": {}}', "1 2 3", "a b c d e f g h", "0 0 0 0 0 0 0 0", "[[]]"]
)
def test_files_that_hold_no_poses_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "poses"
    path.write_text(text)
    if text == "":
        assert read_poses(path) == []
        return
    with pytest.raises(InvalidInput):
        read_poses(path)


def test_the_board_is_read_from_its_option() -> None:
    assert parse_board("7x5:55") == BOARD
