"""Laws of rigid transforms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sam6d_ros.errors import InvalidInput
from sam6d_ros.geometry import se3


def random_transforms(*shape: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rotations = Rotation.random(int(np.prod(shape)), rng=rng) if shape else Rotation.random(rng=rng)
    matrices = rotations.as_matrix().reshape(*shape, 3, 3)
    return se3.from_rotation_translation(matrices, rng.normal(size=(*shape, 3)))


@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3)])
def test_inverse_undoes(shape):
    motion = random_transforms(*shape)
    assert np.allclose(se3.inverse(motion) @ motion, np.eye(4), atol=1e-12)
    assert np.allclose(se3.inverse(se3.inverse(motion)), motion, atol=1e-12)


@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_transform_is_a_group_action(shape):
    a, b = random_transforms(*shape, seed=1), random_transforms(*shape, seed=2)
    points = np.random.default_rng(3).normal(size=(7, 3))
    assert np.allclose(se3.transform(a, se3.transform(b, points)), se3.transform(a @ b, points))


def test_transform_keeps_distances():
    points = np.random.default_rng(0).normal(size=(6, 3))
    moved = se3.transform(random_transforms(), points)
    assert np.allclose(
        np.linalg.norm(moved[1:] - moved[:-1], axis=1),
        np.linalg.norm(points[1:] - points[:-1], axis=1),
    )


@pytest.mark.parametrize("shape", [(), (5,), (2, 3)])
def test_quaternions_round_trip_in_ros_order(shape):
    motion = random_transforms(*shape)
    quaternions = se3.quat_xyzw(motion)
    assert quaternions.shape == (*shape, 4)
    assert (quaternions[..., 3] >= 0).all()
    back = Rotation.from_quat(quaternions.reshape(-1, 4)).as_matrix()
    assert np.allclose(back.reshape(*shape, 3, 3), motion[..., :3, :3])


def test_quaternion_order_is_xyzw():
    quarter = se3.from_quat_xyzw_translation([0, 0, np.sqrt(0.5), np.sqrt(0.5)], [1, 2, 3])
    assert np.allclose(se3.transform(quarter, [[1, 0, 0]]), [[1, 3, 3]])


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-8, 1e-4, 0.3, 3.0, np.pi - 1e-6, np.pi])
def test_rotation_angle_is_exact_also_near_identity_and_half_turn(angle):
    base = random_transforms()[:3, :3]
    turned = base @ Rotation.from_rotvec([0, angle, 0]).as_matrix()
    assert se3.rotation_angle(base, turned) == pytest.approx(angle, abs=1e-7, rel=1e-6)


@pytest.mark.parametrize("scale", [0.0, 1e-10, 1e-3, 1.0])
def test_exp_of_small_motions(scale):
    twist = scale * np.array([[0.1, -0.2, 0.3, 0.4, 0.5, -0.6], [0, 0, 0, 0, 0, 1.0]])
    motion = se3.exp(twist)
    assert np.allclose(motion[:, :3, 3], twist[:, :3])
    assert np.allclose(Rotation.from_matrix(motion[:, :3, :3]).as_rotvec(), twist[:, 3:])
    for one in motion:
        se3.check_rigid(one)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (np.eye(3), r"\(3, 3\)"),
        (np.full((4, 4), np.nan), "not finite"),
        (np.diag([2.0, 1, 1, 1]), "rotation"),
        (np.diag([-1.0, 1, 1, 1]), "rotation"),
        (se3.exp([0.1, 0, 0, 0, 0, 1]).T, r"last row .* Transpose a matrix"),
    ],
)
def test_check_rigid_refuses(broken, reason):
    with pytest.raises(InvalidInput, match=reason):
        se3.check_rigid(broken, "pose")


def test_check_rigid_passes_rigid_ones():
    motion = random_transforms()
    assert np.array_equal(se3.check_rigid(motion), motion)


TWISTS = st.lists(st.floats(-1.5, 1.5), min_size=6, max_size=6).map(np.array)


@given(TWISTS)
def test_log_inverts_exp(twist):
    assert np.allclose(se3.log(se3.exp(twist)), twist, atol=1e-9)


@given(TWISTS, TWISTS, TWISTS)
def test_moving_a_pose_by_its_difference_from_another_gives_the_other(first, second, point):
    before, after, about = se3.exp(first), se3.exp(second), point[:3]
    twist = se3.difference(after, before, about)
    assert np.allclose(se3.moved(before, twist, about), after, atol=1e-7)
    assert np.allclose(twist[:3], (after - before)[:3, :3] @ about + (after - before)[:3, 3])


@given(TWISTS, TWISTS)
def test_a_covariance_at_another_origin_is_that_of_the_shifted_pose(twist, lever):
    pose, small = se3.exp(twist), 1e-6 * lever
    shift = se3.from_rotation_translation(np.eye(3), lever[:3])
    there = se3.difference(se3.moved(pose, small) @ shift, pose @ shift)
    carried = se3.shift_origin(np.outer(small, small), pose[:3, :3] @ lever[:3])
    assert np.allclose(carried, np.outer(there, there), atol=1e-15)


def test_a_covariance_in_turned_axes_is_that_of_turned_errors():
    rng = np.random.default_rng(0)
    factor, rotation = rng.normal(size=(6, 6)), se3.exp([0, 0, 0, 0.4, -1.0, 2.0])[:3, :3]
    covariance = factor @ factor.T
    turned = se3.rotate_covariance(covariance, rotation)
    error = factor @ rng.normal(size=6)
    moved = np.concatenate([rotation @ error[:3], rotation @ error[3:]])
    distance = error @ np.linalg.solve(covariance, error)
    assert moved @ np.linalg.solve(turned, moved) == pytest.approx(distance)
    np.testing.assert_allclose(se3.rotate_covariance(turned, rotation.T), covariance, atol=1e-9)


def test_points_are_fitted_in_stacks_and_by_weight() -> None:
    rng = np.random.default_rng(3)
    poses = se3.exp(rng.normal(size=(5, 6)))
    source = rng.normal(size=(5, 8, 3))
    target = se3.transform(poses, source)
    target[:, 0] += 3.0  # a wrong pair
    weights = np.ones((5, 8))
    weights[:, 0] = 0
    assert np.allclose(se3.fit_points(source, target, weights), poses)
    assert np.allclose(se3.fit_points(source[2, 1:], target[2, 1:]), poses[2])
