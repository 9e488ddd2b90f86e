"""The renderer against closed forms."""

import numpy as np
import pytest
import trimesh

from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import CameraIntrinsics, project, ray_directions
from sam6d_ros.geometry.raycast import RayScene

CAMERA = CameraIntrinsics(200.0, 210.0, 79.2, 60.3, 160, 120)
POSE = se3.exp([0.05, -0.03, 0.8, 0.4, -0.7, 1.1])


def rays() -> np.ndarray:
    v, u = np.mgrid[:120, :160]
    return ray_directions(CAMERA, u, v).astype(np.float64)


def test_depth_of_a_sphere():
    sphere = trimesh.creation.icosphere(subdivisions=6, radius=0.1)
    seen = RayScene(sphere.vertices, sphere.faces).render(CAMERA, POSE)
    directions, centre = rays(), POSE[:3, 3]
    a, b = (directions**2).sum(-1), directions @ centre
    root = b**2 - a * (centre @ centre - 0.1**2)
    inside = root > 0.001 * b**2  # at the rim the facets of the mesh matter
    expected = (b - np.sqrt(np.maximum(root, 0))) / a
    assert inside.sum() > 1000
    assert seen.mask[inside].all()
    assert not seen.mask[root < 0].any()
    assert np.abs(seen.depth - expected)[inside].max() < 2e-4
    normals = (seen.points_obj / 0.1) @ POSE[:3, :3].T
    assert (seen.normals_cam * normals).sum(-1)[inside].min() > 0.999


def test_depth_of_a_tilted_plane():
    corners = np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    pose = se3.exp([0, 0, 1.2, 0.3, 0.2, 0])
    seen = RayScene(corners, np.array([[0, 1, 2], [0, 2, 3]])).render(CAMERA, pose)
    normal = pose[:3, 2]
    expected = (normal @ pose[:3, 3]) / (rays() @ normal)
    assert seen.mask.all()
    assert np.abs(seen.depth - expected).max() < 1e-5


@pytest.mark.parametrize("flip", [False, True])
def test_normals_face_the_camera_whatever_the_winding(flip):
    box = trimesh.creation.box((0.1, 0.15, 0.2))
    faces = box.faces[:, ::-1] if flip else box.faces
    seen = RayScene(box.vertices, faces).render(CAMERA, POSE)
    assert seen.mask.sum() > 500
    assert ((seen.normals_cam * rays()).sum(-1)[seen.mask] < 0).all()
    assert np.allclose(np.linalg.norm(seen.normals_cam[seen.mask], axis=1), 1, atol=1e-5)


def test_points_project_to_their_own_pixels():
    box = trimesh.creation.box((0.1, 0.15, 0.2))
    seen = RayScene(box.vertices, box.faces).render(CAMERA, POSE)
    points = se3.transform(POSE, seen.points_obj[seen.mask])
    pixels = project(CAMERA, points)
    v, u = np.nonzero(seen.mask)
    assert np.abs(pixels - np.stack([u, v], 1)).max() < 1e-2
    assert np.allclose(points[:, 2], seen.depth[seen.mask], atol=1e-6)


def test_a_rectangle_of_the_image_is_that_part_of_the_whole():
    box = trimesh.creation.box((0.1, 0.15, 0.2))
    scene = RayScene(box.vertices, box.faces)
    whole, part = scene.render(CAMERA, POSE), scene.render(CAMERA, POSE, (70, 40, 50, 30))
    assert part.mask.any()
    assert np.array_equal(part.depth, whole.depth[40:70, 70:120])
    assert np.array_equal(part.rgb, whole.rgb[40:70, 70:120])


def test_colours_are_interpolated_between_the_corners():
    corners = np.array([[-1.0, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]])
    red = np.array([[0, 10, 0], [200, 10, 0], [200, 10, 0], [0, 10, 0]], np.uint8)
    scene = RayScene(corners, np.array([[0, 1, 2], [0, 2, 3]]), red)
    seen = scene.render(CAMERA, np.eye(4))
    x = seen.points_obj[..., 0]
    assert np.abs(seen.rgb[..., 0] - (x + 1) * 100).max() <= 1.01
    assert (seen.rgb[..., 1] == 10).all()


def test_nothing_is_seen_of_what_is_behind():
    box = trimesh.creation.box((0.1, 0.1, 0.1))
    seen = RayScene(box.vertices, box.faces).render(CAMERA, se3.exp([0, 0, -1.0, 0, 0, 0]))
    assert not seen.mask.any()
    assert not seen.depth.any()
    assert not seen.rgb.any()
