"""The covariance of a fit: positive definite, and wide where the depth binds nothing."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from support.still_life import (
    CAM_FROM_TABLE,
    PLATE_HEIGHT,
    maps_of,
    model_of,
    moved,
    standing,
)

from sam6d_ros.geometry import se3
from sam6d_ros.stages.geometric.covariance import PRIOR_ANGLE, PRIOR_SHIFT, pose_covariance
from sam6d_ros.stages.geometric.kit import kit_of


def variances_in_object_axes(covariance, pose):
    """Variances (3,) of shift and (3,) of turn about the object's own axes."""
    r = pose[:3, :3]
    return (
        np.diag(r.T @ covariance[:3, :3] @ r),
        np.diag(r.T @ covariance[3:, 3:] @ r),
    )


@pytest.mark.parametrize("name", ["carton", "bracket", "plate"])
def test_it_is_symmetric_and_positive_definite(name, request):
    kit = request.getfixturevalue(name)
    pose = standing(kit.model, 0.02, 0, 25)
    covariance = pose_covariance(maps_of((kit.model, pose)), kit, pose)
    assert covariance.shape == (6, 6)
    assert np.array_equal(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance).min() > 0


def test_a_plate_is_free_in_its_plane_and_about_its_normal(plate):
    pose = standing(plate.model, 0, 0, 25)
    scene = maps_of((plate.model, pose), table=False)
    shift, turn = variances_in_object_axes(pose_covariance(scene, plate, pose), pose)
    assert shift[:2].min() > 50 * shift[2]
    assert turn[2] > 50 * turn[:2].max()


def test_what_the_depth_leaves_open_is_as_wide_as_the_search(plate):
    pose = standing(plate.model, 0, 0, 25)
    scene = maps_of((plate.model, pose), table=False)
    shift, turn = variances_in_object_axes(pose_covariance(scene, plate, pose), pose)
    assert shift[:2] == pytest.approx((PRIOR_SHIFT * plate.model.diameter) ** 2, rel=0.1)
    assert turn[2] == pytest.approx(PRIOR_ANGLE**2, rel=0.1)


def test_three_sides_bind_every_direction(carton):
    pose = standing(carton.model, 0, 0, 40)
    covariance = pose_covariance(maps_of((carton.model, pose)), carton, pose)
    deviation = np.sqrt(np.diag(covariance))
    assert deviation[:3].max() < 0.003
    assert np.degrees(deviation[3:]).max() < 2


def test_noise_widens_it(carton):
    pose = standing(carton.model, 0, 0, 40)
    scene = maps_of((carton.model, pose))
    noise = np.random.default_rng(0).normal(size=scene.depth.shape) * 0.004
    noisy = replace(scene, depth=(scene.depth + noise).astype(np.float32))
    still, wide = (pose_covariance(s, carton, pose) for s in (scene, noisy))
    assert np.trace(wide[:3, :3]) > 2 * np.trace(still[:3, :3])


def test_an_unseen_pose_knows_what_the_search_spans_and_no_more(carton):
    pose = standing(carton.model, 0, 0, 40)
    away = moved(pose, (0, 0, -0.25), (0, 0, 0))
    covariance = pose_covariance(maps_of((carton.model, pose)), carton, away)
    prior = np.repeat([PRIOR_SHIFT * carton.model.diameter, PRIOR_ANGLE], 3) ** 2
    assert covariance == pytest.approx(np.diag(prior))


def test_the_turn_is_about_the_cad_origin(context):
    """With the CAD origin beside the plate, shift and tilt trade off: the plate's middle, which
    moves with both, is better known than the origin."""
    lever_obj = np.array([0.4, 0, 0])
    shape = trimesh.creation.box((0.16, 0.16, PLATE_HEIGHT))
    shape.apply_translation(lever_obj)
    kit = kit_of(model_of(shape, "far_plate"), context)
    pose = CAM_FROM_TABLE @ se3.exp([*-lever_obj, 0, 0, 0])
    covariance = pose_covariance(maps_of((kit.model, pose), table=False), kit, pose)
    normal, lever = pose[:3, 2], pose[:3, :3] @ lever_obj
    origin = np.concatenate([normal, np.zeros(3)])
    middle = np.concatenate([normal, np.cross(lever, normal)])  # n·(t + w × lever)
    assert middle @ covariance @ middle < 0.1 * (origin @ covariance @ origin)
