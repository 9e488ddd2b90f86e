"""What is kept of the rendered views: spread evenly, on the surface, inside the silhouette."""

import gc
import weakref
from dataclasses import replace

import cv2
import numpy as np
import pytest
import trimesh
from support.still_life import BOX_SIZE, PLATE_HEIGHT, model_of

from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import InvalidMesh
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import CameraIntrinsics, project
from sam6d_ros.stages.geometric import kit as kit_module
from sam6d_ros.stages.geometric.kit import kit_of
from sam6d_ros.stages.geometric.templates import (
    ANCHORS,
    INNER_POINTS,
    RING_OFFSET,
    SAFE_POINTS,
    SAFE_PX,
    VIEW_DISTANCE,
    VIEW_PX,
    VIEWS,
    build_templates,
    view_rotations,
)
from sam6d_ros.stages.geometric.turned import TURNS
from sam6d_ros.stages.library import BuildContext

FINER = 3  # the check's pixels per pixel of a view
CHECK = CameraIntrinsics(
    *(FINER * VIEW_PX * VIEW_DISTANCE / 1.3,) * 2, *(FINER * VIEW_PX / 2 - 0.5,) * 2,
    *(FINER * VIEW_PX,) * 2,
)  # fmt: skip
SOME_VIEWS = range(0, VIEWS, 13)


def seen_in(kit, view):
    """Pose and silhouette of one view, rendered finer."""
    rotation = kit.views.view_from_obj[view].astype(float)
    offset = [0, 0, VIEW_DISTANCE * kit.model.diameter] - rotation @ kit.centre
    cam_from_obj = se3.from_rotation_translation(rotation, offset)
    return cam_from_obj, kit.model.scene.render(CHECK, cam_from_obj)


def rim_distance(mask, pixels_uv):
    """Pixels from the rim to (N, 2) places, positive inside."""
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    u, v = np.rint(pixels_uv).astype(int).T
    return (inside - outside)[v, u]


@pytest.mark.parametrize("count", [54, VIEWS])
def test_views_are_rotations(count):
    rotations = view_rotations(count)
    assert rotations.shape == (count, 3, 3)
    assert np.abs(rotations @ rotations.transpose(0, 2, 1) - np.eye(3)).max() < 1e-12
    assert np.linalg.det(rotations) == pytest.approx(np.ones(count))


@pytest.mark.parametrize("count", [54, VIEWS])
def test_views_cover_the_sphere_evenly(count):
    forward = view_rotations(count)[:, 2]
    spacing = np.sqrt(4 * np.pi / count)  # the side of a square that is one view's share
    between = np.arccos(np.clip(forward @ forward.T, -1, 1)) + 9 * np.eye(count)
    assert between.min() > 0.75 * spacing
    assert between.min(1).max() < 1.25 * spacing
    anywhere = np.random.default_rng(0).normal(size=(5000, 3))
    anywhere /= np.linalg.norm(anywhere, axis=1, keepdims=True)
    assert np.arccos((anywhere @ forward.T).max(1)).max() < 0.9 * spacing


def test_points_and_anchors_lie_on_the_surface(carton):
    half = np.array(BOX_SIZE) / 2
    for points in (carton.views.points, carton.views.anchors):
        depth_in = (half - np.abs(points)).min(-1)
        assert np.abs(depth_in).max() < 1e-4 * carton.model.diameter


def test_normals_are_those_of_the_surface_and_face_the_view(carton):
    half = np.array(BOX_SIZE) / 2
    points, normals = carton.views.points, carton.views.normals
    side = (half - np.abs(points)).argmin(-1)[..., None]
    outward = np.take_along_axis(normals * np.sign(points), side, -1)
    assert np.quantile(outward, 0.01) > 0.999  # a point on an edge may count to either side
    assert (np.einsum("vkj,vj->vk", normals, carton.views.view_from_obj[:, 2]) < 0.3).all()


def test_all_points_are_visible_in_their_view(carton):
    for view in SOME_VIEWS:
        cam_from_obj, seen = seen_in(carton, view)
        points = se3.transform(cam_from_obj, carton.views.points[view])
        u, v = np.rint(project(CHECK, points)).astype(int).T
        step = 0.02 * carton.model.diameter
        assert (seen.depth[v, u] > points[:, 2] - step)[seen.mask[v, u]].all()
        assert seen.mask[v, u].mean() > 0.95  # one on the rim may round outside


def test_safe_points_keep_off_the_rim(carton):
    for view in SOME_VIEWS:
        cam_from_obj, seen = seen_in(carton, view)
        points = se3.transform(cam_from_obj, carton.views.points[view, :SAFE_POINTS])
        distance = rim_distance(seen.mask, project(CHECK, points)) / FINER
        assert distance.min() > SAFE_PX - 1


def test_rings_run_just_outside_the_silhouette(bracket):
    for view in SOME_VIEWS:
        cam_from_obj, seen = seen_in(bracket, view)
        points = se3.transform(cam_from_obj, bracket.views.rings[view])
        pixel_m = VIEW_DISTANCE * bracket.model.diameter / CHECK.fx
        distance = -rim_distance(seen.mask, project(CHECK, points)) * pixel_m
        assert np.abs(distance / bracket.model.diameter - RING_OFFSET).max() < 0.03


def test_points_spread_over_the_whole_silhouette(carton):
    for view in SOME_VIEWS:
        cam_from_obj, seen = seen_in(carton, view)
        taken = np.ones_like(seen.mask, np.uint8)
        points = se3.transform(cam_from_obj, carton.views.points[view])
        u, v = np.rint(project(CHECK, points)).astype(int).T
        taken[v, u] = 0
        gap = cv2.distanceTransform(taken, cv2.DIST_L2, 5)[seen.mask].max()
        assert gap < 2 * np.sqrt(seen.mask.sum() / INNER_POINTS)


def test_views_of_a_ball():
    radius = 0.05
    ball = model_of(trimesh.creation.icosphere(subdivisions=4, radius=radius), "ball")
    fields = build_templates(ball)
    assert fields["areas"] == pytest.approx(np.full(VIEWS, np.pi * radius**2), rel=0.04)
    outward = (fields["normals"] * fields["points"]).sum(-1) / radius
    assert outward.min() > 0.99
    assert fields["anchors"].shape == (VIEWS, ANCHORS, 3)


def test_a_sheet_has_no_view_from_its_edge(plate):
    """Edge-on it shows no pixel at all; a view from beside the edge stands in."""
    forward = plate.views.view_from_obj[:, 2]
    assert np.abs(forward[:, 2]).min() > PLATE_HEIGHT / plate.model.diameter
    assert plate.views.areas.min() > 0
    every = view_rotations(VIEWS)[:, 2]
    assert (every * forward).sum(-1).min() > np.cos(np.radians(20))


def test_a_mesh_without_a_surface_is_refused():
    line = trimesh.Trimesh([[0, 0, 0], [0.1, 0, 0], [0.2, 0, 0]], [[0, 1, 2]], process=False)
    with pytest.raises(InvalidMesh, match="line shows no surface"):
        build_templates(model_of(line, "line"))


def test_turned_views_are_the_views_turned_about_the_optical_axis(carton):
    turned, views = carton.turned, carton.views
    assert len(turned.rotation) == VIEWS * TURNS
    relative = turned.rotation.reshape(VIEWS, TURNS, 3, 3) @ views.view_from_obj[:, None].transpose(
        0, 1, 3, 2
    )
    assert np.abs(relative[..., 2, :] - [0, 0, 1.0]).max() < 1e-5
    angle = np.arctan2(relative[..., 1, 0], relative[..., 0, 0]) % (2 * np.pi)
    assert np.abs(np.exp(1j * (angle - 2 * np.pi * np.arange(TURNS) / TURNS)) - 1).max() < 1e-5
    assert not turned.anchors[:, 0].any(), "points are relative to the first anchor"


def test_every_rough_rotation_is_its_own_nearest(carton):
    turned = carton.turned
    assert (turned.near_ids == turned.rough_ids[:, None]).any(1).all()


def test_every_rotation_is_near_a_rough_one(carton):
    assert set(carton.turned.near_ids.ravel()) == set(range(VIEWS * TURNS))


def test_views_are_kept_on_disk(carton, tmp_path, monkeypatch):
    built = []

    def build(model):
        built.append(model.name)
        return {name: getattr(carton.views, name) for name in carton.views.__dataclass_fields__}

    monkeypatch.setattr(kit_module, "build_templates", build)
    first = kit_of(carton.model, BuildContext(PipelineConfig(), tmp_path))
    second = kit_of(carton.model, BuildContext(PipelineConfig(), tmp_path))
    assert built == ["carton"]
    assert np.array_equal(first.views.points, second.views.points)
    assert np.array_equal(second.turned.points, carton.turned.points)


def test_views_of_an_object_that_is_gone_are_forgotten(carton, context):
    model = replace(carton.model)
    views = weakref.ref(kit_of(model, context).views)
    gc.collect()
    assert views() is not None
    del model
    gc.collect()
    assert views() is None


def test_stages_of_one_engine_share_the_views_of_an_object(carton, context):
    other = BuildContext(context.config, context.cache_dir)
    assert kit_of(carton.model, context).views is kit_of(carton.model, context).views
    assert kit_of(carton.model, other).views is not kit_of(carton.model, context).views
