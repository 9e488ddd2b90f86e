"""Recordings that cannot become a model: one clear error each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scan.conftest import BOARD, Changed, filmed, motion_of

from sam6d_ros.errors import InvalidInput
from sam6d_ros.evaluation.synthetic.objects import bracket, wooden_block
from sam6d_ros.evaluation.synthetic.orbit import Orbit
from sam6d_ros.evaluation.synthetic.patches import join
from sam6d_ros.scan.board import BoardSpec
from sam6d_ros.scan.build import ScanOptions, scan_object
from sam6d_ros.scan.motion import from_board, from_poses


def poses_of(recorded: Orbit) -> list:
    return list(recorded.world_from_cam)


def test_too_few_frames_are_refused(recorded: Orbit) -> None:
    with pytest.raises(InvalidInput, match="7 frames have a camera pose; expected at least 8"):
        from_poses(poses_of(recorded)[:7], 7)


def test_another_number_of_poses_is_refused(recorded: Orbit) -> None:
    with pytest.raises(InvalidInput, match="29 poses for 30 frames"):
        from_poses(poses_of(recorded)[:29], 30)


def test_a_camera_that_never_moves_is_refused(recorded: Orbit) -> None:
    with pytest.raises(InvalidInput, match=r"turns by 0\.0 degrees .* --turntable"):
        from_poses(poses_of(recorded)[:1] * 12, 12)


def test_a_board_that_is_not_there_is_refused(recorded: Orbit) -> None:
    text = r"board of 12 x 9 squares was found in \d of 30 frames.* comes from the scene$"
    with pytest.raises(InvalidInput, match=text):
        from_board(recorded, BoardSpec(12, 9, 0.03))


def test_a_board_printed_at_another_scale_is_refused(recorded: Orbit) -> None:
    small = BoardSpec(BOARD.columns, BOARD.rows, 0.95 * BOARD.square_m)
    with pytest.raises(InvalidInput, match=r"1\.05\d times .* Measure a square"):
        from_board(recorded, small)


def test_an_object_out_of_the_range_is_refused(recorded: Orbit) -> None:
    frames = Changed(recorded, np.zeros_like)
    with pytest.raises(InvalidInput, match="range of the depth camera"):
        scan_object(frames, motion_of(recorded))


def test_no_plane_is_refused(recorded: Orbit) -> None:
    rng = np.random.default_rng(0)

    def scattered(depth: np.ndarray) -> np.ndarray:
        return (depth * rng.uniform(0.75, 1.25, depth.shape)).astype(np.float32)

    few = replace(recorded, frames=recorded.frames[:10])
    motion = from_poses(poses_of(recorded)[:10], 10)
    with pytest.raises(InvalidInput, match="largest plane holds"):
        scan_object(Changed(few, scattered), motion)


def test_a_circle_that_cuts_the_object_is_refused(recorded: Orbit) -> None:
    motion = motion_of(recorded)
    with pytest.raises(InvalidInput, match="edge of the circle"):
        scan_object(recorded, motion, ScanOptions(radius_m=0.05))


def test_an_empty_circle_is_refused(recorded: Orbit) -> None:
    motion = motion_of(recorded)
    with pytest.raises(InvalidInput, match="stand above the plane"):
        scan_object(recorded, motion, ScanOptions(radius_m=0.08, centre=(0.3, 0.2, 0)))


def test_two_things_in_the_circle_are_refused() -> None:
    block = wooden_block()
    beside = block.moved((0.0, 0.11, -float(block.vertices[:, 2].min())))
    both = filmed(join(bracket(), beside), frames=12)
    with pytest.raises(InvalidInput, match=r"two things of \d+ and \d+ points .* Take one away"):
        scan_object(both, motion_of(both))
