"""Normals against closed forms, and the working size."""

import numpy as np
import pytest
import trimesh
from support.still_life import CAM_FROM_TABLE, CAMERA, carton, photograph, standing, table_depth

from sam6d_ros.geometry.camera import CameraIntrinsics, back_project, ray_directions
from sam6d_ros.geometry.raycast import RayScene
from sam6d_ros.geometry.se3 import exp
from sam6d_ros.stages.geometric.scene import at_working_size, normal_map, resized, scene_maps
from sam6d_ros.types import Scene


def known(normals):
    return np.linalg.norm(normals, axis=-1) > 0


def test_normals_are_unit_vectors_towards_the_camera_or_zero():
    model = carton()
    depth = photograph([(model, standing(model, 0, 0, 30))]).depth
    normals = normal_map(depth, CAMERA)
    length = np.linalg.norm(normals, axis=-1)
    assert np.abs(length - known(normals)).max() < 1e-5
    assert not length[depth == 0].any()
    towards = (normals * back_project(CAMERA, depth)).sum(-1)
    assert (towards[known(normals)] < 0).all()


@pytest.mark.parametrize("tilt", [(0, 0), (0.5, 0), (0, -0.7), (0.6, 0.6), (-1.1, 0.2)])
def test_normals_of_a_plane(tilt):
    normal = exp([0, 0, 0, *tilt, 0])[:3, :3] @ [0, 0, -1.0]
    v, u = np.mgrid[: CAMERA.height, : CAMERA.width]
    along = ray_directions(CAMERA, u, v) @ normal
    depth = np.where(along < -0.2, 0.8 * normal[2] / along, 0).astype(np.float32)
    normals = normal_map(depth, CAMERA)
    assert known(normals).mean() > 0.5
    assert np.abs(normals[known(normals)] - normal).max() < 2e-3


def test_normals_of_a_sphere():
    centre, radius = np.array([0.03, -0.02, 0.6]), 0.1
    ball = trimesh.creation.icosphere(subdivisions=6, radius=radius)
    depth = RayScene(ball.vertices, ball.faces).render(CAMERA, exp([*centre, 0, 0, 0])).depth
    outward = (back_project(CAMERA, depth) - centre) / radius
    middle = (depth > 0) & (outward[..., 2] < -0.6)  # towards the rim the surface bends away
    normals = normal_map(depth, CAMERA)
    assert middle.sum() > 3000
    assert known(normals)[middle].all()
    assert (normals * outward).sum(-1)[middle].min() > np.cos(np.radians(3))


def test_normals_do_not_mix_surfaces_across_a_step():
    depth = np.full((CAMERA.height, CAMERA.width), 0.9, np.float32)
    depth[:, 160:] = 0.7
    normals = normal_map(depth, CAMERA)
    assert np.abs(normals - [0, 0, -1.0]).max() < 1e-3


def test_a_lone_pixel_has_no_normal():
    depth = np.zeros((CAMERA.height, CAMERA.width), np.float32)
    depth[100, 100] = 0.5
    assert not normal_map(depth, CAMERA).any()


def test_a_large_frame_is_worked_on_at_640_columns():
    camera = CameraIntrinsics(1400.0, 1400.0, 639.5, 359.5, 1280, 720)
    frame = photograph([], camera)
    scene = scene_maps(frame)
    assert (scene.scale, scene.depth.shape) == (0.5, (360, 640))
    expected = table_depth(scene.camera)
    seen = (scene.depth > 0) & np.isfinite(expected)
    assert seen.mean() > 0.9
    assert np.abs(scene.depth - expected)[seen].max() < 0.005  # nearest pixel: half a pixel off
    assert np.abs(scene.normals[seen & known(scene.normals)] - CAM_FROM_TABLE[:3, 2]).max() < 0.01


def test_a_small_frame_is_kept_as_it_is():
    frame = photograph([])
    scene = scene_maps(frame)
    assert (scene.scale, scene.camera) == (1.0, CAMERA)
    assert np.array_equal(scene.depth, frame.depth)


def test_masks_go_to_the_working_size_and_back():
    camera = CameraIntrinsics(1400.0, 1400.0, 639.5, 359.5, 1280, 720)
    scene = scene_maps(photograph([], camera))
    mask = np.zeros((720, 1280), bool)
    mask[100:300, 400:900] = True
    small = at_working_size(mask, scene)
    assert small.shape == (360, 640)
    assert small.sum() == mask.sum() / 4
    assert np.array_equal(resized(small, (1280, 720)), mask)


def test_stages_share_the_maps_of_a_scene():
    scene, other = Scene(photograph([])), Scene(photograph([]))
    first = scene.derived(scene_maps)
    assert scene.derived(scene_maps) is first
    assert other.derived(scene_maps) is not first
