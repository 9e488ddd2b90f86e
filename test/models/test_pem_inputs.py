"""Clouds of detections, read in the box of the mask alone."""

from __future__ import annotations

import numpy as np
import pytest

from sam6d_ros.geometry.camera import CameraIntrinsics, back_project
from sam6d_ros.stages.sam6d import pem_inputs

CAMERA = CameraIntrinsics(230.0, 231.0, 80.3, 59.1, 160, 120)


@pytest.mark.parametrize("seed", range(8))
def test_a_cloud_equals_that_of_the_whole_image(seed: int) -> None:
    random = np.random.default_rng(seed)
    depth = (0.6 + 0.02 * random.random((120, 160))).astype(np.float32)
    depth[random.random(depth.shape) < 0.1] = 0
    mask = np.zeros(depth.shape, bool)
    x, y = (int(random.integers(0, 100)) for _ in range(2))
    mask[y : y + 45, x : x + 70] = random.random(mask[y : y + 45, x : x + 70].shape) > 0.2
    found = pem_inputs.masked_cloud(depth, CAMERA, mask, 0.05)
    assert found is not None
    visible = mask & (depth > 0)
    assert found.box == pem_inputs.square_box(visible)
    assert found.mask_pixels == visible.sum()
    part = (slice(*found.box[:2]), slice(*found.box[2:]))
    flat = np.flatnonzero(visible[part])
    assert found.crop_pixels == len(flat)
    points = back_project(CAMERA, depth)[part].reshape(-1, 3)
    assert np.array_equal(found.centre, points[flat].mean(axis=0))
    assert np.array_equal(found.points, points[found.kept])
    assert set(found.kept) <= set(flat)


@pytest.mark.parametrize("pixels", [0, pem_inputs.MIN_MASK_PIXELS])
def test_too_few_pixels_give_no_cloud(pixels: int) -> None:
    mask = np.zeros((120, 160), bool)
    mask.ravel()[:pixels] = True
    depth = np.ones((120, 160), np.float32)
    assert pem_inputs.masked_cloud(depth, CAMERA, mask, 1.0) is None
