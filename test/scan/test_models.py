"""The models that come out of recordings, against the mesh that was filmed."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scan.conftest import BOARD, Recorded, filmed

from sam6d_ros.evaluation.scan_scores import ScanScore, score_scan
from sam6d_ros.evaluation.synthetic.objects import bracket
from sam6d_ros.geometry import se3
from sam6d_ros.scan.build import ScannedObject, scan_object
from sam6d_ros.scan.masks import turntable_masks
from sam6d_ros.scan.motion import Motion, from_board, from_poses
from sam6d_ros.scan.report import residuals
from sam6d_ros.scan.scene_motion import from_scene

Array = NDArray[np.float64]


def score(scanned: ScannedObject, motion: Motion, recorded: Recorded) -> ScanScore:
    """The scan against the filmed mesh."""
    solid, mesh = bracket(), scanned.mesh
    world = world_of(motion, recorded) @ scanned.world_from_obj
    guess = se3.inverse(recorded.orbit.world_from_obj) @ world
    return score_scan((mesh.vertices, mesh.faces), (solid.vertices, solid.faces), guess)


def world_of(motion: Motion, recorded: Recorded) -> Array:
    """Pose (4, 4) of the motion's world in the world of the truth, over the first used frame."""
    first = motion.used[0]
    return recorded.orbit.world_from_cam[first] @ se3.inverse(motion.world_from_cam[first])


def motion_by(source: str, recorded: Recorded) -> Motion:
    if source == "poses":
        return from_poses(list(recorded.orbit.world_from_cam), len(recorded))
    if source == "board":
        return from_board(recorded, BOARD)
    return from_scene(recorded)


@pytest.mark.parametrize(
    ("source", "chamfer_mm", "complete"),
    [("poses", 1.6, 0.85), ("board", 2.0, 0.7), ("scene", 2.5, 0.6)],
)
def test_the_scan_is_the_filmed_mesh(
    source: str, chamfer_mm: float, complete: float, recorded: Recorded
) -> None:
    motion = motion_by(source, recorded)
    found = score(scan_object(recorded, motion), motion, recorded)
    assert found.chamfer_mm < chamfer_mm
    assert found.completeness > complete


def test_the_model_stands_in_the_middle_of_its_bottom(recorded: Recorded) -> None:
    scanned = scan_object(recorded, motion_by("poses", recorded))
    low, high = scanned.mesh.vertices.min(0), scanned.mesh.vertices.max(0)
    assert low[2] == pytest.approx(0, abs=1e-6)
    assert (low + high)[:2] == pytest.approx(0, abs=1e-6)
    assert high[0] - low[0] >= high[1] - low[1]
    assert scanned.world_from_obj[:3, 2] == pytest.approx([0, 0, 1], abs=0.02)


def test_its_colours_are_those_of_the_filmed_mesh(recorded: Recorded) -> None:
    mesh = scan_object(recorded, motion_by("poses", recorded)).mesh
    assert mesh.colors is not None
    red, _, blue = np.median(mesh.colors, axis=0)
    assert blue > 1.2 * red  # the bracket is (70, 92, 128)


def test_an_object_on_a_turntable_before_a_standing_camera_is_scanned() -> None:
    turned = filmed(turntable=True)
    masks = turntable_masks(turned, 0.15)
    motion = from_scene(turned, masks)
    scanned = scan_object(turned, motion, masks=masks)
    assert score(scanned, motion, turned).chamfer_mm < 3.0


def test_coverage_and_residuals_are_reported(recorded: Recorded) -> None:
    motion = motion_by("poses", recorded)
    scanned = scan_object(recorded, motion)
    assert scanned.coverage.sectors >= 11
    assert any("from below" in note for note in scanned.notes)
    rows = residuals(scanned.mesh, recorded, motion, scanned.world_from_obj)
    assert len(rows) == len(recorded)
    assert np.median([row.median_mm for row in rows]) < 3


def test_half_a_walk_around_it_is_said(recorded: Recorded) -> None:
    poses = recorded.orbit.world_from_cam.copy()
    motion = Motion(np.where(np.arange(36)[:, None, None] < 14, poses, np.nan), "poses")
    notes = scan_object(recorded, motion).notes
    assert any("sectors around the object only" in note for note in notes)
