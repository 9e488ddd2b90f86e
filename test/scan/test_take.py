"""The pixels of one recording that are fused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.scan.heights import footprint
from sam6d_ros.scan.motion import from_poses
from sam6d_ros.scan.region import Region
from sam6d_ros.scan.take import Take
from sam6d_ros.types import Frame

HEIGHT_M, FLOOR_M, HALF_M = 0.5, 0.004, 0.04


@dataclass(frozen=True)
class FromAbove:
    """Frames of a low floor in the middle of a plane, seen from above at a focal of 200 px."""

    def __len__(self) -> int:
        return 8

    def frame(self, index: int) -> Frame:
        depth = np.full((64, 64), HEIGHT_M, np.float32)
        depth[16:48, 16:48] -= FLOOR_M
        camera = CameraIntrinsics(200.0, 200.0, 32.0, 32.0, 64, 64)
        return Frame(np.zeros((64, 64, 3), np.uint8), depth, camera)


def test_a_floor_lower_than_the_noise_of_a_plane_is_fused_without_the_plane() -> None:
    grid = np.arange(-0.1, 0.1, 0.001)
    x, y = (axis.ravel() for axis in np.meshgrid(grid, grid))
    raised = (np.abs(x) < HALF_M) & (np.abs(y) < HALF_M)
    place = footprint(np.column_stack([x, y, np.where(raised, FLOOR_M, 0)]), 0.1)
    looks_down = np.diag([1.0, -1.0, -1.0, 1.0])
    looks_down[2, 3] = HEIGHT_M
    poses = [looks_down.copy() for _ in range(8)]
    for index, pose in enumerate(poses):
        pose[0, 3] = 0.1 * index
    motion = from_poses(poses, 8)
    region = Region(np.eye(4), np.array([0.2, 0.2, 0.1]))
    take = Take(FromAbove(), motion, region, without_plane=True, footprint=place)
    _, depth = take.depth(0)
    assert (depth[20:44, 20:44] > 0).all()
    assert (depth[:12] == 0).all()
    assert (depth[:, 54:] == 0).all()
