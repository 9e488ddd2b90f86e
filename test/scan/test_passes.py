"""A second pass of the turned object, hands in the recording, things that are flat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scan.conftest import Recorded, filmed

from sam6d_ros.apps.cli.main import main
from sam6d_ros.cad.mesh import load_mesh
from sam6d_ros.errors import InvalidInput
from sam6d_ros.evaluation.scan_scores import ScanScore, score_scan
from sam6d_ros.evaluation.synthetic.objects import bracket, soup_can
from sam6d_ros.evaluation.synthetic.orbit import write_recording
from sam6d_ros.evaluation.synthetic.patches import Solid, box, join, lathe
from sam6d_ros.geometry import se3
from sam6d_ros.scan.build import Recorded as Pass
from sam6d_ros.scan.build import ScannedObject, scan_object
from sam6d_ros.scan.motion import Motion, from_poses

GREY = (120, 124, 130)
HAND = (0.25, 0.75)


def motion_of(recorded: Recorded) -> Motion:
    return from_poses(list(recorded.orbit.world_from_cam), len(recorded))


def score(scanned: ScannedObject, recorded: Recorded, solid: Solid) -> ScanScore:
    guess = se3.inverse(recorded.orbit.world_from_obj) @ scanned.world_from_obj
    mesh = scanned.mesh
    return score_scan((mesh.vertices, mesh.faces), (solid.vertices, solid.faces), guess)


def as_pass(recorded: Recorded) -> Pass:
    return Pass(recorded, motion_of(recorded))


def test_the_second_pass_of_a_turned_object_is_registered_and_shows_its_bottom(
    recorded: Recorded, turned: Recorded
) -> None:
    scanned = scan_object(recorded, motion_of(recorded), second=as_pass(turned))
    assert scanned.second_from_obj is not None
    true = turned.orbit.world_from_obj @ se3.inverse(recorded.orbit.world_from_obj)
    expected = true @ scanned.world_from_obj
    assert np.allclose(scanned.second_from_obj[:3, 3], expected[:3, 3], atol=0.002)
    angle = se3.rotation_angle(scanned.second_from_obj[:3, :3], expected[:3, :3])
    assert np.rad2deg(angle) < 1.5
    assert not any("from below" in note for note in scanned.notes)
    found = score(scanned, recorded, bracket())
    assert found.chamfer_mm < 1.0
    assert found.completeness > 0.95


def test_a_second_pass_of_another_object_is_refused(recorded: Recorded) -> None:
    other = filmed(soup_can())
    with pytest.raises(InvalidInput, match=r"second recording lies .* mm from the first"):
        scan_object(recorded, motion_of(recorded), second=as_pass(other))


def test_a_hand_that_reaches_for_the_object_is_left_out() -> None:
    visited = filmed(hand=HAND)
    scanned = scan_object(visited, motion_of(visited))
    (note,) = [note for note in scanned.notes if "something moved" in note]
    count = int(note.split()[3])
    assert 3 <= count <= round((HAND[1] - HAND[0]) * 36) + 1
    found = score(scanned, visited, bracket())
    assert found.chamfer_mm < 1.0
    assert np.ptp(scanned.mesh.vertices, axis=0) == pytest.approx([0.12, 0.07, 0.087], abs=0.006)


def test_a_plate_of_four_millimetres_with_a_boss_is_whole() -> None:
    plate = box((0.10, 0.06, 0.004), [GREY] * 6).moved((0, 0, 0.002))
    boss = lathe([(0.001, 0.016), (0.009, 0.016), (0.009, 0.004)], GREY).moved((0.02, 0, 0))
    solid = join(plate, boss)
    recorded = filmed(solid)
    scanned = scan_object(recorded, motion_of(recorded))
    assert np.ptp(scanned.mesh.vertices, axis=0)[:2] == pytest.approx([0.10, 0.06], abs=0.006)
    assert score(scanned, recorded, solid).completeness > 0.95


def test_the_command_takes_the_second_recording(
    folder: Path, turned: Recorded, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    second, out = write_recording(turned.orbit, tmp_path / "turned"), tmp_path / "scan"
    words = ["scan", "model", str(folder), "--name", "part", "--out", str(out)]
    words += ["--poses", str(folder / "scene_camera.json"), "--second", str(second)]
    assert main([*words, "--second-poses", str(second / "scene_camera.json")]) == 0
    assert "from below" not in capfd.readouterr().out
    size = np.ptp(load_mesh(out / "part.ply").vertices, axis=0)
    assert size == pytest.approx([0.120, 0.07, 0.087], abs=0.006)


def test_poses_of_no_second_recording_are_refused(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["scan", "model", str(folder), "--name", "part", "--out", str(tmp_path / "scan")]
    assert main([*words, "--second-poses", str(folder / "scene_camera.json")]) == 2
    assert "without --second" in capfd.readouterr().err
