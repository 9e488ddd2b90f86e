"""A second pass of the turned object, hands in the recording, things that are flat."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scan.conftest import Command, filmed, motion_of
from scipy.spatial.transform import Rotation

from sam6d_ros.apps.cli.main import main
from sam6d_ros.cad.mesh import Mesh, load_mesh
from sam6d_ros.errors import InvalidInput
from sam6d_ros.evaluation.scan_scores import ScanScore, score_scan
from sam6d_ros.evaluation.synthetic.objects import bracket, mug, soup_can
from sam6d_ros.evaluation.synthetic.orbit import Orbit
from sam6d_ros.evaluation.synthetic.patches import Solid, box, disc, join, lathe
from sam6d_ros.geometry import se3
from sam6d_ros.scan.build import scan_object
from sam6d_ros.scan.second_pass import first_from_second

Array = NDArray[np.float64]

GREY = (120, 124, 130)
HAND = (0.25, 0.75)


def score(mesh: Mesh, world_from_obj: Array, recorded: Orbit, solid: Solid) -> ScanScore:
    guess = se3.inverse(recorded.world_from_obj) @ world_from_obj
    return score_scan((mesh.vertices, mesh.faces), (solid.vertices, solid.faces), guess)


def test_the_second_pass_of_a_turned_object_is_registered_and_shows_its_bottom(
    recorded: Orbit, turned: Orbit, command: Command
) -> None:
    report = json.loads((command.out / "report.json").read_text())
    first, second = (np.array(one["world_from_obj"]) for one in report["recordings"])
    true = turned.world_from_obj @ se3.inverse(recorded.world_from_obj)
    assert np.allclose(second[:3, 3], (true @ first)[:3, 3], atol=0.002)
    assert np.rad2deg(se3.rotation_angle(second[:3, :3], (true @ first)[:3, :3])) < 1.5
    assert "from below" not in command.printed
    found = score(load_mesh(command.out / "part.ply"), first, recorded, bracket())
    assert found.chamfer_mm < 1.0
    assert found.completeness > 0.95


def test_a_second_pass_of_another_object_is_refused() -> None:
    part, can = (Mesh(s.vertices, s.faces, s.colors) for s in (bracket(), soup_can()))
    with pytest.raises(InvalidInput, match=r"second recording lies .* mm from the first"):
        first_from_second(part, can)


def test_a_cup_on_its_rim_is_registered_the_right_way_up() -> None:
    """The second recording shows the bottom, closed where the first one looks inside."""
    cup = mug()
    closed = join(cup, disc(0.041, 0.095, GREY))
    second_from_first = se3.from_rotation_translation(
        Rotation.from_euler("xz", [180, 40], degrees=True).as_matrix(), np.array([0, 0, 0.095])
    )
    turned = se3.transform(second_from_first, closed.vertices)
    found = first_from_second(
        Mesh(cup.vertices, cup.faces, cup.colors), Mesh(turned, closed.faces, closed.colors)
    )
    assert np.rad2deg(se3.rotation_angle((found @ second_from_first)[:3, :3], np.eye(3))) < 1.5


def test_a_plain_box_is_registered_in_one_of_its_own_placements() -> None:
    """A quarter turn of 80 x 70 mm would lie 5 mm off at the sides, and hardly in the median."""
    solid = box((0.08, 0.07, 0.05), [GREY] * 6).moved((0, 0, 0.025))
    second_from_first = se3.from_rotation_translation(
        Rotation.from_euler("xz", [180, 40], degrees=True).as_matrix(), np.array([0, 0, 0.05])
    )
    turned = se3.transform(second_from_first, solid.vertices)
    found = first_from_second(
        Mesh(solid.vertices, solid.faces, solid.colors), Mesh(turned, solid.faces, solid.colors)
    )
    placed = se3.transform(found, turned)
    assert np.allclose(placed.min(0), solid.vertices.min(0), atol=0.001)
    assert np.allclose(placed.max(0), solid.vertices.max(0), atol=0.001)


def test_two_recordings_of_a_flat_thing_are_refused() -> None:
    plate = box((0.10, 0.06, 0.004), [GREY] * 6).moved((0, 0, 0.002))
    mesh = Mesh(plate.vertices, plate.faces, plate.colors)
    with pytest.raises(InvalidInput, match=r"flat: 4 mm high in the first recording.*--second out"):
        first_from_second(mesh, mesh)


def test_a_hand_that_reaches_for_the_object_is_left_out() -> None:
    visited = filmed(hand=HAND, frames=24)
    scanned = scan_object(visited, motion_of(visited))
    (note,) = [note for note in scanned.notes if "something moved" in note]
    count = int(note.split()[3])
    assert 1 <= count <= round((HAND[1] - HAND[0]) * 24) + 1
    found = score(scanned.mesh, scanned.world_from_obj, visited, bracket())
    assert found.chamfer_mm < 1.2
    assert np.ptp(scanned.mesh.vertices, axis=0) == pytest.approx([0.12, 0.07, 0.087], abs=0.006)


def test_a_plate_of_four_millimetres_with_a_boss_is_whole() -> None:
    plate = box((0.10, 0.06, 0.004), [GREY] * 6).moved((0, 0, 0.002))
    boss = lathe([(0.001, 0.016), (0.009, 0.016), (0.009, 0.004)], GREY).moved((0.02, 0, 0))
    solid = join(plate, boss)
    recorded = filmed(solid, frames=20)
    scanned = scan_object(recorded, motion_of(recorded))
    assert np.ptp(scanned.mesh.vertices, axis=0)[:2] == pytest.approx([0.10, 0.06], abs=0.006)
    found = score(scanned.mesh, scanned.world_from_obj, recorded, solid)
    assert found.completeness > 0.95


def test_poses_of_no_second_recording_are_refused(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["scan", "model", str(folder), "--name", "part", "--out", str(tmp_path / "scan")]
    assert main([*words, "--second-poses", str(folder / "scene_camera.json")]) == 2
    assert "without --second" in capfd.readouterr().err
