"""Laws of the pictures: what they claim to show is shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.bop_folder import CAMERA, POSES, models, render

from sam6d_ros import visualize
from sam6d_ros.geometry import se3
from sam6d_ros.types import Frame, PoseEstimate

MODEL = models()[1]
POSE = PoseEstimate(MODEL.name, 0.8, POSES[1])
RGB, DEPTH = render()
INSIDE = np.zeros(DEPTH.shape, bool)
INSIDE[2:-2, 2:-2] = MODEL.scene.render(CAMERA, POSES[1]).mask[2:-2, 2:-2]


@pytest.mark.parametrize(
    ("nearer_m", "channel"),
    [(0.015, 2), (0.0, 1), (-0.015, 0)],  # blue, green, red
)
def test_the_residual_tells_nearer_from_farther(nearer_m, channel):
    depth = np.where(INSIDE, DEPTH - nearer_m, DEPTH).astype(np.float32)
    picture = visualize.depth_residual(Frame(RGB, depth, CAMERA), POSE, MODEL)
    middle = np.median(picture[INSIDE], axis=0)
    assert middle.argmax() == channel
    assert np.ptp(picture[~INSIDE][:50], axis=1).max() == 0, "grey elsewhere"


def test_the_residual_is_black_without_a_measurement():
    depth = np.where(INSIDE, 0, DEPTH).astype(np.float32)
    picture = visualize.depth_residual(Frame(RGB, depth, CAMERA), POSE, MODEL)
    assert np.median(picture[INSIDE]) == 0


def test_the_silhouette_is_the_rendered_mask():
    expected = MODEL.scene.render(CAMERA, POSES[1]).mask
    assert np.array_equal(visualize.silhouette(CAMERA, POSE, MODEL), expected)


def test_the_rectangle_encloses_the_silhouette():
    x, y, width, height = visualize.image_rectangle(CAMERA, POSE, MODEL)
    rows, cols = np.nonzero(visualize.silhouette(CAMERA, POSE, MODEL))
    assert x <= cols.min()
    assert cols.max() < x + width
    assert y <= rows.min()
    assert rows.max() < y + height


def test_nothing_is_drawn_out_of_view():
    outside = replace(POSE, cam_from_obj=se3.exp([3, 0, 0.8, 0, 0, 0]))
    assert visualize.image_rectangle(CAMERA, outside, MODEL) is None
    drawn = visualize.draw_poses(RGB, CAMERA, [outside], {MODEL.name: MODEL})
    assert np.array_equal(drawn, RGB)


def test_drawing_leaves_the_input_alone_and_skips_unknown_objects():
    before = RGB.copy()
    drawn = visualize.draw_poses(RGB, CAMERA, [POSE], {MODEL.name: MODEL})
    assert np.array_equal(RGB, before)
    assert not np.array_equal(drawn, RGB)
    assert np.array_equal(visualize.draw_poses(RGB, CAMERA, [POSE], {}), RGB)


def test_the_axes_point_along_the_frame_of_the_model():
    straight = replace(POSE, cam_from_obj=se3.exp([0, 0, 0.8, 0, 0, 0]))
    black = np.zeros_like(RGB)
    drawn = visualize.draw_poses(black, CAMERA, [straight], {MODEL.name: MODEL}, ["axes"])
    centre = (CAMERA.cx, CAMERA.cy)
    red = np.argwhere((drawn[..., 0] > 200) & (drawn[..., 1] < 80) & (drawn[..., 2] < 80))
    green = np.argwhere((drawn[..., 1] > 180) & (drawn[..., 0] < 80) & (drawn[..., 2] < 80))
    length = 0.5 * MODEL.diameter * CAMERA.fx / 0.8
    assert red[:, 1].max() == pytest.approx(centre[0] + length, abs=2), "x to the right"
    assert green[:, 0].max() == pytest.approx(centre[1] + length, abs=2), "y downwards"


def test_a_montage_has_whole_rows():
    tiles = [np.full((10, 10, 3), i, np.uint8) for i in range(5)]
    picture = visualize.montage(tiles, 3)
    assert picture.shape == (20, 30, 3)
    assert picture[15, 15, 0] == 4
