"""Paths of synthetic sequences: stated speeds, stated pauses, images that agree with the truth."""

from __future__ import annotations

import numpy as np
import pytest

from sam6d_ros.errors import InvalidInput
from sam6d_ros.evaluation.synthetic import make_scene, paths
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import CameraIntrinsics

SMALL = CameraIntrinsics(143.0, 143.0, 79.5, 59.5, 160, 120)


def path_of(kind: str, frames: int) -> np.ndarray:
    return np.stack(paths.camera_path(kind, frames, np.random.default_rng(3)))


def test_all_paths_start_at_the_same_view():
    arc, held = path_of("arc", 2)[0], path_of("hand_held", 2)[0]
    assert np.linalg.norm(arc[:3, 3] - held[:3, 3]) < 0.005
    assert se3.rotation_angle(arc[:3, :3], held[:3, :3]) < np.radians(1)


def test_a_hand_held_camera_moves_and_stops():
    poses = path_of("hand_held", 150)
    speed = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1) * paths.FRAME_RATE_HZ
    turn = se3.rotation_angle(poses[1:, :3, :3], poses[:-1, :3, :3]) * paths.FRAME_RATE_HZ
    assert 0.25 < speed.max() < 1.0
    assert 20 < np.degrees(turn.max()) < 90
    at_rest = round(paths.STOP_PERIOD_S * paths.FRAME_RATE_HZ)
    assert speed[at_rest - 2 : at_rest + 2].max() < 0.15


def test_a_lifted_thing_comes_back_to_the_table():
    start = se3.exp([0.1, 0.2, 0, 0, 0, 0.3])
    heights = [paths.lifted(start, share)[2, 3] for share in np.linspace(0, 1, 21)]
    assert heights[0] == pytest.approx(0)
    assert heights[-1] == pytest.approx(0)
    assert max(heights) == pytest.approx(paths.LIFT_M)
    np.testing.assert_allclose(paths.lifted(start, 0), start, atol=1e-12)


def test_the_board_passes_through_the_view():
    places = [paths.occluder_pose(share, np.eye(4))[:3, 3] for share in (0.25, 0.5, 0.75)]
    assert places[0][0] < -0.15
    assert abs(places[1][0]) < 0.01
    assert places[2][0] > 0.15


@pytest.mark.slow
def test_what_moves_in_the_scene_moves_in_its_truth(tmp_path):
    settings = {"camera": SMALL, "targets": ("mug", "bracket"), "clutter": 0, "frames": 3}
    scene = make_scene(4, **settings, path="hand_held", lifted="mug", cache_dir=tmp_path)
    world = [
        {t.class_id: view.world_from_cam @ t.cam_from_obj for t in view.ground_truth}
        for view in scene.views
    ]
    np.testing.assert_allclose(world[0]["bracket"], world[1]["bracket"], atol=1e-9)
    assert world[1]["mug"][2, 3] - world[0]["mug"][2, 3] == pytest.approx(paths.LIFT_M, abs=1e-6)
    hidden = make_scene(4, **settings, occluded=True, cache_dir=tmp_path)
    first, middle = hidden.views[0].ground_truth, hidden.views[1].ground_truth
    assert sum(t.visibility for t in middle) < 0.5 * sum(t.visibility for t in first)


@pytest.mark.parametrize("wrong", [{"path": "teleport"}, {"lifted": "moon"}])
def test_unknown_motions_are_refused(wrong):
    with pytest.raises(InvalidInput, match=next(iter(wrong.values()))):
        make_scene(4, camera=SMALL, targets=("mug",), **wrong)
