"""Pose errors: laws they must obey, and values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam6d_ros.cad.model import Symmetries
from sam6d_ros.evaluation import metrics
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.geometry.mesh import hull_points
from sam6d_ros.geometry.raycast import RayScene
from sam6d_ros.runtime.warmup import box_model

CAMERA = CameraIntrinsics(200.0, 200.0, 79.5, 59.5, 160, 120)
MODEL = box_model((0.08, 0.12, 0.16))
POINTS = MODEL.vertices.astype(np.float64)
IDENTITY = np.eye(4)[None]
TURN_Z = np.diag([-1.0, -1.0, 1.0, 1.0])  # half a turn: maps the box onto itself

coordinates = st.floats(-0.2, 0.2)
poses = st.builds(
    lambda values: se3.exp([*values[:2], 1.0 + values[2], *values[3:]]),
    st.lists(coordinates, min_size=6, max_size=6),
)


def depth_of(pose):
    return MODEL.scene.render(CAMERA, pose).depth


@settings(max_examples=20, deadline=None)
@given(poses)
def test_every_error_of_the_true_pose_is_zero(pose):
    assert metrics.add(pose, pose, POINTS) == 0
    assert metrics.add_s(pose, pose, POINTS) == pytest.approx(0, abs=1e-12)
    assert metrics.mssd(pose, pose, POINTS, IDENTITY) == 0
    assert metrics.mspd(pose, pose, POINTS, IDENTITY, CAMERA) == 0
    errors = metrics.vsd(pose, pose, MODEL.scene, MODEL.diameter, depth_of(pose), CAMERA)
    assert errors.tolist() == [0] * 10


@settings(max_examples=20, deadline=None)
@given(poses, st.lists(coordinates, min_size=3, max_size=3))
def test_a_translation_is_its_own_add_and_mssd(pose, shift):
    moved = pose.copy()
    moved[:3, 3] += shift
    length = np.linalg.norm(shift)
    assert metrics.add(moved, pose, POINTS) == pytest.approx(length)
    assert metrics.mssd(moved, pose, POINTS, IDENTITY) == pytest.approx(length)
    assert metrics.add_s(moved, pose, POINTS) <= length + 1e-12


@settings(max_examples=20, deadline=None)
@given(poses, poses)
def test_errors_do_not_depend_on_who_is_right(a, b):
    for error in (metrics.add, lambda x, y, p: metrics.mssd(x, y, p, IDENTITY)):
        assert error(a, b, POINTS) == pytest.approx(error(b, a, POINTS))


@settings(max_examples=20, deadline=None)
@given(poses, poses)
def test_the_nearest_point_is_never_farther_than_the_right_one(a, b):
    add = metrics.add(a, b, POINTS)
    assert metrics.add_s(a, b, POINTS) <= add + 1e-12
    assert add <= metrics.mssd(a, b, POINTS, IDENTITY) + 1e-12


@settings(max_examples=20, deadline=None)
@given(poses, poses)
def test_the_hull_decides_the_largest_distance(a, b):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(500, 3)) * 0.1
    distances = np.linalg.norm(se3.transform(a, points) - se3.transform(b, points), axis=1)
    assert metrics.mssd(a, b, points, IDENTITY) == pytest.approx(distances.max())


def test_a_flat_model_has_no_hull_and_still_an_error():
    square = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0.0]])
    moved = se3.exp([0, 0, 0.25, 0, 0, 0])
    assert metrics.mssd(moved, np.eye(4), square, IDENTITY) == pytest.approx(0.25)


def test_a_symmetric_turn_costs_nothing():
    pose = se3.exp([0.05, -0.02, 0.8, 0.3, -0.5, 1.0])
    turned = pose @ TURN_Z
    motions = np.stack([np.eye(4), TURN_Z])
    assert metrics.add(turned, pose, POINTS) > 0.05
    assert metrics.add_symmetric(turned, pose, POINTS, motions) == pytest.approx(0, abs=1e-12)
    assert metrics.mssd(turned, pose, POINTS, motions) == pytest.approx(0, abs=1e-12)
    assert metrics.mspd(turned, pose, POINTS, motions, CAMERA) == pytest.approx(0, abs=1e-9)
    assert metrics.add_s(turned, pose, POINTS) == pytest.approx(0, abs=1e-6)
    vsd = metrics.vsd(turned, pose, MODEL.scene, MODEL.diameter, depth_of(pose), CAMERA)
    assert vsd.max() < 0.02, "a turned box looks the same up to pixels at its edge"


def test_add_of_a_half_turn_by_hand():
    # every corner of the box moves by twice its distance from the z axis
    expected = 2 * np.hypot(0.04, 0.06)
    assert metrics.add(TURN_Z, np.eye(4), POINTS) == pytest.approx(expected)
    assert metrics.mssd(TURN_Z, np.eye(4), POINTS, IDENTITY) == pytest.approx(expected)


def test_add_s_by_hand():
    # two points a metre apart, moved by 0.8 along their line: one lands 0.2 from the other,
    # the other is 0.8 from its own old place
    points = np.array([[0.0, 0, 0], [1.0, 0, 0]])
    moved = se3.exp([0.8, 0, 0, 0, 0, 0])
    assert metrics.add(moved, np.eye(4), points) == pytest.approx(0.8)
    assert metrics.add_s(moved, np.eye(4), points) == pytest.approx(0.5)


def test_mspd_by_hand():
    # a point at 2 m depth, moved by 0.1 m sideways: 200 px × 0.1 / 2 = 10 px
    point = np.zeros((1, 3))
    true, moved = se3.exp([0, 0, 2, 0, 0, 0]), se3.exp([0.1, 0, 2, 0, 0, 0])
    assert metrics.mspd(moved, true, point, IDENTITY, CAMERA) == pytest.approx(10)


def test_mspd_behind_the_camera_is_infinite():
    true, behind = se3.exp([0, 0, 2, 0, 0, 0]), se3.exp([0, 0, -2, 0, 0, 0])
    assert metrics.mspd(behind, true, POINTS, IDENTITY, CAMERA) == np.inf


def plate(width: float) -> RayScene:
    """A thin square facing the camera."""
    half = width / 2
    corners = np.array([[-half, -half, 0], [half, -half, 0], [half, half, 0], [-half, half, 0]])
    return RayScene(corners, np.array([[0, 1, 2], [0, 2, 3]]))


def test_vsd_along_the_axis_by_hand():
    # a plate of stated diameter 1 moved by 0.12 towards the camera: all common pixels are
    # off by about 0.12, more than the tolerances 0.05 and 0.10 and less than the others
    scene, true = plate(0.4), se3.exp([0, 0, 2, 0, 0, 0])
    moved = se3.exp([0, 0, 1.88, 0, 0, 0])
    depth = scene.render(CAMERA, true).depth
    seen = [scene.render(CAMERA, pose).mask for pose in (true, moved)]
    ring = 1 - seen[0].sum() / seen[1].sum()  # pixels that only the nearer plate covers
    errors = metrics.vsd(moved, true, scene, 1.0, depth, CAMERA)
    assert errors[:2].tolist() == [1, 1]
    assert errors[2:] == pytest.approx(np.full(8, ring))


def test_vsd_does_not_blame_what_is_hidden():
    scene, true = plate(0.4), se3.exp([0, 0, 2, 0, 0, 0])
    moved = se3.exp([0.1, 0, 2, 0, 0, 0])
    covered = np.full((CAMERA.height, CAMERA.width), 1.0, np.float32)  # a wall in front
    assert metrics.vsd(moved, true, scene, 1.0, covered, CAMERA).tolist() == [1] * 10
    open_half = covered.copy()
    open_half[:, 80:] = 0  # nothing measured on the right: counts as visible there
    errors = metrics.vsd(moved, true, scene, 1.0, open_half, CAMERA)
    assert 0 < errors[-1] < 1


def test_vsd_of_a_model_somewhere_else_is_one():
    true, elsewhere = se3.exp([-0.2, 0, 1, 0, 0, 0]), se3.exp([0.2, 0, 1, 0, 0, 0])
    errors = metrics.vsd(elsewhere, true, MODEL.scene, MODEL.diameter, depth_of(true), CAMERA)
    assert errors.tolist() == [1] * 10


@settings(max_examples=10, deadline=None)
@given(poses, poses)
def test_vsd_falls_with_the_tolerance(a, b):
    errors = metrics.vsd(a, b, MODEL.scene, MODEL.diameter, depth_of(b), CAMERA)
    assert (np.diff(errors) <= 0).all()
    assert ((errors >= 0) & (errors <= 1)).all()


def test_a_continuous_symmetry_is_taken_in_small_turns_about_its_axis():
    point = np.array([0.1, 0.2, 0.0])
    axis = np.array([[[0.0, 0.0, 2.0], point]])
    motions = metrics.symmetry_transforms(
        Symmetries(np.stack([np.eye(4), TURN_Z]), axis), np.eye(4), np.eye(4)
    )
    assert len(motions) == 2 * 315  # ⌈π / 0.01⌉ turns
    assert np.array_equal(motions[0], np.eye(4))
    turns = metrics.symmetry_transforms(Symmetries(axes=axis), np.eye(4), np.eye(4))
    on_axis = point + np.array([0, 0, 0.7])
    assert se3.transform(turns, on_axis[None]) == pytest.approx(np.tile(on_axis, (315, 1, 1)))
    angle = np.radians(123.4)
    turn = se3.from_rotation_translation(se3.exp([0, 0, 0, 0, 0, angle])[:3, :3], np.zeros(3))
    about_point = se3.exp([*point, 0, 0, 0]) @ turn @ se3.exp([*-point, 0, 0, 0])
    assert metrics.mssd(about_point, np.eye(4), POINTS, turns) < 0.01 * 0.3


def test_errors_of_a_ball_are_those_of_its_centre_whatever_the_turn():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(2000, 3))
    points = 0.05 * np.concatenate([points, -points]) / np.linalg.norm(points[0])
    centre = np.array([0.01, 0.02, 0.03])
    axes = np.array([[[0, 0, 1.0], centre], [[1.0, 0, 0], centre]])
    true, estimated = se3.exp([0, 0, 1, 0.3, -0.2, 0.9]), se3.exp([0, 0, 1, 2.0, 0.4, -1.0])
    shift = [0.004, 0, 0.003]
    estimated[:3, 3] = (true @ [*centre, 1])[:3] + shift - estimated[:3, :3] @ centre
    motions = metrics.symmetry_transforms(Symmetries(axes=axes), estimated, true)
    assert len(motions) == 1
    assert metrics.add_symmetric(estimated, true, points + centre, motions) == pytest.approx(0.005)
    assert metrics.mssd(estimated, true, points + centre, motions) == pytest.approx(0.005)


def test_the_hull_of_a_flat_model_has_its_corners_only():
    flat = np.random.default_rng(0).uniform(-1, 1, (1000, 3)) * [1, 1, 0]
    assert len(hull_points(flat)) < 100
    assert metrics.mssd(np.eye(4), se3.exp([0, 0, 0.1, 0, 0, 0]), flat, np.eye(4)[None]) == (
        pytest.approx(0.1)
    )
