"""Laws of the pinhole camera."""

import numpy as np
import pytest

from sam6d_ros.errors import InvalidCamera
from sam6d_ros.geometry.camera import CameraIntrinsics, back_project, project, ray_directions

CAMERA = CameraIntrinsics(572.4, 573.6, 325.3, 242.0, 640, 480)


def test_projecting_what_was_back_projected_gives_the_pixel():
    depth = np.random.default_rng(0).uniform(0.3, 3, (480, 640)).astype(np.float32)
    pixels = project(CAMERA, back_project(CAMERA, depth).astype(np.float64))
    v, u = np.mgrid[:480, :640]
    assert np.abs(pixels[..., 0] - u).max() < 1e-3
    assert np.abs(pixels[..., 1] - v).max() < 1e-3


def test_back_projection_keeps_the_depth_along_z_and_marks_the_invalid():
    depth = np.array([[0.0, 1.5], [2.0, 0.0]], np.float32)
    points = back_project(CameraIntrinsics(2, 2, 0.5, 0.5, 2, 2), depth)
    assert points.dtype == np.float32
    assert np.array_equal(points[..., 2], depth)
    assert not points[0, 0].any()


def test_a_ray_through_the_principal_point_is_the_optical_axis():
    ray = ray_directions(CAMERA, np.array([325.3]), np.array([242.0]))
    assert np.allclose(ray, [[0, 0, 1]], atol=1e-7)


def test_x_is_right_and_y_is_down():
    u, v = project(CAMERA, np.array([0.1, 0.2, 1.0]))
    assert u > CAMERA.cx
    assert v > CAMERA.cy


@pytest.mark.parametrize("z", [0.0, -1.0])
def test_points_not_in_front_have_no_pixel(z):
    assert np.isnan(project(CAMERA, np.array([0.1, 0.2, z]))).all()


def test_matrix_round_trip():
    again = CameraIntrinsics.from_matrix(CAMERA.matrix, 640, 480)
    assert again == CAMERA
    assert CameraIntrinsics.from_matrix(CAMERA.matrix.ravel().tolist(), 640, 480) == CAMERA


@pytest.mark.parametrize(
    ("k", "reason"),
    [
        (CAMERA.matrix.T, "by columns: transpose it"),
        ([572, 0, 325, 0, 573, 242, 0, 0, 0], "last row"),
        ([572, 0, 325, 0, 573, 242, 0.1, 0, 1], "last row"),
        ([572, 3.5, 325, 0, 573, 242, 0, 0, 1], "skew: rectify"),
        ([572, 0, 325, 1.0, 573, 242, 0, 0, 1], "skew: rectify"),
        ([0] * 9, "an uncalibrated driver publishes zeros"),
    ],
    ids=["transposed", "no one", "projective", "skew", "skew below", "zeros"],
)
def test_a_matrix_of_another_form_is_refused_with_the_remedy(k, reason):
    with pytest.raises(InvalidCamera, match=reason):
        CameraIntrinsics.from_matrix(k, 640, 480)


@pytest.mark.parametrize("factor", [0.25, 0.5, 1.0, 2.0])
def test_scaling_keeps_the_rays_of_the_corners(factor):
    small = CAMERA.scaled(factor)
    for camera, width, height in ((CAMERA, 640, 480), (small, small.width, small.height)):
        # the outer border of the image, half a pixel beyond the outermost centres
        edge = ray_directions(camera, np.array([-0.5, width - 0.5]), np.array([-0.5, height - 0.5]))
        if camera is CAMERA:
            expected = edge
    assert np.allclose(edge, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ((np.nan, 500, 320, 240, 640, 480), "not finite"),
        ((500, 500, np.inf, 240, 640, 480), "not finite"),
        ((0, 0, 0, 0, 640, 480), "uncalibrated"),
        ((-500, 500, 320, 240, 640, 480), "positive"),
        ((500, 500, 320, 240, 0, 480), "not positive"),
        ((500, 500, 1900, 240, 640, 480), "belong to this image size"),
    ],
)
def test_unusable_intrinsics_are_refused_with_the_reason(values, reason):
    with pytest.raises(InvalidCamera, match=reason):
        CameraIntrinsics(*values)


def test_a_matrix_of_the_wrong_size_is_refused():
    with pytest.raises(InvalidCamera, match="12 values"):
        CameraIntrinsics.from_matrix(np.zeros((3, 4)), 640, 480)


@pytest.mark.parametrize(
    ("k", "words"),
    [
        ([300, 0, 0, 0, 300, 0, 0, 0, 1], "no calibration"),
        ([300, 0, 320, 0, 3000, 240, 0, 0, 1], "factor of 10"),
        ([600, 0, 640, 0, 600, 480, 0, 0, 1], "1280×960"),
        ([150, 0, 160, 0, 150, 120, 0, 0, 1], "320×240"),
    ],
)
def test_a_matrix_that_cannot_be_of_this_image_is_refused(k, words):
    with pytest.raises(InvalidCamera, match=words):
        CameraIntrinsics.from_matrix(k, 640, 480)


@pytest.mark.parametrize("centre", [(320, 240), (250, 240), (400, 300), (10, 400), (700, 200)])
def test_principal_points_of_real_and_cropped_images_are_taken(centre):
    cx, cy = centre
    camera = CameraIntrinsics.from_matrix([600, 0, cx, 0, 610, cy, 0, 0, 1], 640, 480)
    assert (camera.cx, camera.cy) == centre
