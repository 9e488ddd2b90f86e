import numpy as np
import pytest

from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.stages.geometric.edges import NO_REGISTRATION
from sam6d_ros.stages.geometric.evidence import evidence
from sam6d_ros.types import Frame

CAMERA = CameraIntrinsics(fx=500, fy=500, cx=160, cy=120, width=320, height=240)


def registration(shift_px: int, step_m: float = 0.2) -> float:
    """Return that of a square before a wall, the image displaced against the depth."""
    depth = np.full((240, 320), 0.8, np.float32)
    depth[80:160, 120:200] -= step_m
    rgb = np.full((240, 320, 3), 60, np.uint8)
    rgb[80 + shift_px : 160 + shift_px, 120 + shift_px : 200 + shift_px] = 200
    return evidence(Frame(rgb, depth, CAMERA)).registration


@pytest.mark.slow
def test_registration_falls_with_the_displacement_of_the_image():
    aligned, near, far = (registration(shift) for shift in (0, 2, 6))
    assert aligned > 0.6
    assert aligned > near + 0.1
    assert far < 0.2


def test_a_frame_without_steps_has_the_usual_registration():
    assert registration(0, step_m=0.0) == pytest.approx(NO_REGISTRATION)
