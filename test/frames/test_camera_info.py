"""CameraInfo: region of interest, binning, raw and rectified matrix; laws of the pixels."""

import numpy as np
import pytest

from sam6d_ros.errors import InvalidCamera
from sam6d_ros.frames.camera_info import CameraInfo, Roi

K = (600.0, 0.0, 640.0, 0.0, 600.0, 360.0, 0.0, 0.0, 1.0)
P = (500.0, 0.0, 630.0, 0.0, 0.0, 510.0, 350.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def info(**changes):
    return CameraInfo(1280, 720, K, **changes)


def pixel(matrix, point):
    u, v, w = matrix @ point
    return np.array([u / w, v / w])


def test_a_point_moves_by_the_offset_of_the_region():
    whole, _ = info().intrinsics()
    part, size = info(roi=Roi(200, 100, 240, 320)).intrinsics()
    assert size == (320, 240)
    point = np.array([0.1, -0.05, 0.9])
    np.testing.assert_allclose(pixel(whole, point) - pixel(part, point), [200, 100])


def test_binning_divides_pixels():
    whole, _ = info().intrinsics()
    binned, size = info(binning=(2, 4)).intrinsics()
    assert size == (640, 180)
    point = np.array([0.1, -0.05, 0.9])
    np.testing.assert_allclose(pixel(whole, point) / [2, 4], pixel(binned, point))


def test_region_comes_before_binning():
    matrix, size = info(binning=(2, 2), roi=Roi(200, 100, 240, 320)).intrinsics()
    assert size == (160, 120)
    np.testing.assert_allclose(matrix[:2, 2], [220, 130])


def test_with_distortion_the_rectified_matrix_is_taken():
    matrix, _ = info(d=(-0.3, 0.1, 0, 0, 0), p=P).intrinsics()
    assert matrix[0, 0] == 500.0
    assert info(d=(1e-9, 0, 0, 0, 0), p=P).intrinsics()[0][0, 0] == 600.0
    assert info(d=(-0.3,), p=(0.0,) * 12).intrinsics()[0][0, 0] == 600.0


@pytest.mark.parametrize(
    "changes",
    [
        {"roi": Roi(1000, 0, 240, 320)},
        {"roi": Roi(0, -5, 240, 320)},
        {"roi": Roi(0, 0, 721, 0)},
        {"binning": (2000, 1)},
        {"binning": (-2, 1)},
    ],
)
def test_contradictions_are_refused(changes):
    with pytest.raises(InvalidCamera):
        info(**changes).intrinsics()
