"""The models that come out of recordings, against the mesh that was filmed."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scan.conftest import BOARD, FRAMES, filmed, motion_of

from sam6d_ros.evaluation.scan_scores import ScanScore, score_scan
from sam6d_ros.evaluation.synthetic.objects import bracket
from sam6d_ros.evaluation.synthetic.orbit import Orbit
from sam6d_ros.geometry import se3
from sam6d_ros.scan.build import ScannedObject, scan_object
from sam6d_ros.scan.masks import turntable_masks
from sam6d_ros.scan.motion import Motion, from_board
from sam6d_ros.scan.report import coverage_of, residuals
from sam6d_ros.scan.scene_motion import from_scene

Array = NDArray[np.float64]


def score(scanned: ScannedObject, motion: Motion, recorded: Orbit) -> ScanScore:
    """The scan against the filmed mesh."""
    solid, mesh = bracket(), scanned.mesh
    world = world_of(motion, recorded) @ scanned.world_from_obj
    guess = se3.inverse(recorded.world_from_obj) @ world
    return score_scan((mesh.vertices, mesh.faces), (solid.vertices, solid.faces), guess)


def world_of(motion: Motion, recorded: Orbit) -> Array:
    """Pose (4, 4) of the motion's world in the world of the truth, over the first used frame."""
    first = motion.used[0]
    return recorded.world_from_cam[first] @ se3.inverse(motion.world_from_cam[first])


def errors(motion: Motion, recorded: Orbit) -> tuple[float, float]:
    """Median errors of the relative poses, millimetres and degrees."""
    used = motion.used
    found = world_of(motion, recorded) @ motion.world_from_cam[used]
    off = se3.inverse(recorded.world_from_cam[used]) @ found
    angle = se3.rotation_angle(off[:, :3, :3], np.eye(3)[None])
    shift = np.linalg.norm(off[:, :3, 3], axis=1)
    return 1000 * float(np.median(shift)), float(np.rad2deg(np.median(angle)))


def test_the_scan_by_given_poses_is_the_filmed_mesh(
    recorded: Orbit, by_poses: ScannedObject
) -> None:
    found = score(by_poses, motion_of(recorded), recorded)
    assert found.chamfer_mm < 1.2
    assert found.completeness > 0.9


def test_the_scan_by_the_scene_itself_is_the_filmed_mesh(recorded: Orbit) -> None:
    motion = from_scene(recorded)
    found = score(scan_object(recorded, motion), motion, recorded)
    assert found.chamfer_mm < 2.5
    assert found.completeness > 0.6


def test_the_motion_by_the_board_is_the_true_one(recorded: Orbit) -> None:
    motion = from_board(recorded, BOARD)
    assert len(motion.used) > 0.7 * FRAMES
    shift_mm, angle_deg = errors(motion, recorded)
    assert shift_mm < 5
    assert angle_deg < 0.6


def test_the_model_stands_in_the_middle_of_its_bottom(by_poses: ScannedObject) -> None:
    low, high = by_poses.mesh.vertices.min(0), by_poses.mesh.vertices.max(0)
    assert low[2] == pytest.approx(0, abs=1e-6)
    assert (low + high)[:2] == pytest.approx(0, abs=1e-6)
    assert high[0] - low[0] >= high[1] - low[1]
    assert by_poses.world_from_obj[:3, 2] == pytest.approx([0, 0, 1], abs=0.02)


def test_its_colours_are_those_of_the_filmed_mesh(by_poses: ScannedObject) -> None:
    assert by_poses.mesh.colors is not None
    red, _, blue = np.median(by_poses.mesh.colors, axis=0)
    assert blue > 1.2 * red  # the bracket is (70, 92, 128)


def test_an_object_on_a_turntable_before_a_standing_camera_is_scanned() -> None:
    turned = filmed(turntable=True, frames=12, turns=0.4)
    masks = turntable_masks(turned, 0.15)
    motion = from_scene(turned, masks)
    shift_mm, angle_deg = errors(motion, turned)
    assert shift_mm < 5
    assert angle_deg < 1
    scanned = scan_object(turned, motion, masks=masks)
    # half of it is seen: the side that is closed by a guess differs from run to run
    assert score(scanned, motion, turned).chamfer_mm < 5.0
    rows = residuals(scanned.mesh, turned, motion, scanned.world_from_obj)
    assert np.median([row.median_mm for row in rows]) < 2.5


def test_coverage_and_residuals_are_reported(recorded: Orbit, by_poses: ScannedObject) -> None:
    assert by_poses.coverage.sectors >= 11
    assert any("from below" in note for note in by_poses.notes)
    motion = motion_of(recorded)
    rows = residuals(by_poses.mesh, recorded, motion, by_poses.world_from_obj)
    assert len(rows) == len(recorded)
    assert np.median([row.median_mm for row in rows]) < 3


def test_half_a_walk_around_it_is_said(recorded: Orbit, by_poses: ScannedObject) -> None:
    obj_from_world = se3.inverse(by_poses.world_from_obj)
    eyes = se3.transform(obj_from_world, recorded.world_from_cam[:12, :3, 3])
    views = np.ones(len(by_poses.mesh.vertices))
    notes = coverage_of(by_poses.mesh, views, eyes).notes()
    assert any("sectors around the object only" in note for note in notes)
