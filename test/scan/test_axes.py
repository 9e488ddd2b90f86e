"""The object frame of a scan: the same from run to run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sam6d_ros.cad.mesh import Mesh
from sam6d_ros.evaluation.synthetic.objects import bracket, mug
from sam6d_ros.evaluation.synthetic.patches import Solid, box
from sam6d_ros.geometry import se3
from sam6d_ros.scan.axes import object_frame


def frame_of(solid: Solid, seed: int) -> np.ndarray:
    """The frame (4, 4) of an object that is turned and measured with noise, in its own frame."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(-np.pi, np.pi)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    measured = se3.transform(turn, solid.vertices) + rng.normal(0, 3e-4, solid.vertices.shape)
    return object_frame(Mesh(measured, solid.faces, None)) @ turn


@pytest.mark.parametrize("make", [mug, bracket])
def test_the_frame_does_not_depend_on_noise(make: Callable[[], Solid]) -> None:
    frames = np.array([frame_of(make(), seed) for seed in range(12)])
    turns = se3.rotation_angle(frames[:, :3, :3], frames[:1, :3, :3])
    assert np.rad2deg(turns).max() < 5
    assert np.ptp(frames[:, :3, 3], axis=0).max() < 0.004


def test_x_is_along_the_longer_side_and_points_to_the_handle() -> None:
    solid = mug()
    placed = se3.transform(object_frame(Mesh(solid.vertices, solid.faces, None)), solid.vertices)
    low, high = placed.min(0), placed.max(0)
    assert np.allclose((low + high)[:2], 0, atol=1e-6)
    assert low[2] == pytest.approx(0, abs=1e-6)
    assert high[0] > high[1]
    assert placed[solid.vertices[:, 0] > 0.06, 0].mean() > 0  # of the mug as it is made


def test_a_mug_has_its_handle_on_the_x_axis() -> None:
    """The smallest rectangle around it leans by 33 degrees."""
    solid = mug()
    turn = np.eye(4)
    turn[:2, :2] = [[0.8, -0.6], [0.6, 0.8]]
    placed = se3.transform(turn, solid.vertices)
    frame = object_frame(Mesh(placed, solid.faces, None))
    size = np.ptp(se3.transform(frame, placed), axis=0)
    assert size == pytest.approx(np.ptp(solid.vertices, axis=0), abs=0.0015)


def test_x_is_along_the_longer_side_of_a_box_that_is_nearly_square() -> None:
    solid = box((0.096, 0.1, 0.03), [(120, 124, 130)] * 6)
    turn = np.eye(4)
    turn[:2, :2] = [[0.8, -0.6], [0.6, 0.8]]
    placed = se3.transform(turn, solid.vertices)
    frame = object_frame(Mesh(placed, solid.faces, None))
    size = np.ptp(se3.transform(frame, placed), axis=0)
    assert size == pytest.approx([0.1, 0.096, 0.03], abs=1e-4)
