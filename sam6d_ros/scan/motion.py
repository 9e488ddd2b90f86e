"""Camera motion of a recording: from a file of poses, a printed board, or the scene itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidInput
from sam6d_ros.geometry import se3
from sam6d_ros.scan.board import BoardFinder, BoardSpec, BoardView, scale_against_depth
from sam6d_ros.types import Frame

Array = NDArray[np.float64]

MIN_FRAMES = 8
# Least motion between the farthest two views for which a scan makes sense.
MIN_TURN_RAD, MIN_SHIFT_M = np.deg2rad(10.0), 0.05
MAX_SCALE_ERROR = 0.015
MIN_BOARD_SHARE = 0.3  # of the frames
NO_BOARD = "scale uncertain: no board and no given poses, the depth camera alone"


class Frames(Protocol):
    """A sequence of frames that may be read one by one."""

    def __len__(self) -> int:
        """Return the number of frames."""

    def frame(self, index: int) -> Frame:
        """Return one frame."""


@dataclass(frozen=True)
class Motion:
    """Camera poses of a recording.

    Attributes:
        world_from_cam: (N, 4, 4) metres; NaN for frames that are not used.
        source: "poses", "board" or "scene".
        up: (3,) direction of the world that points away from what the object stands on, where
            the source states it, otherwise None.
        notes: warnings for the user.
    """

    world_from_cam: Array
    source: str
    up: Array | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def used(self) -> NDArray[np.intp]:
        """Indices of the frames whose pose is known."""
        return np.flatnonzero(np.isfinite(self.world_from_cam[:, 0, 0]))


def from_poses(poses: Sequence[Array], count: int) -> Motion:
    """Take the poses as they are given, one per frame.

    Args:
        poses: (4, 4) world_from_cam each, metres.
        count: number of frames of the recording.

    Returns:
        The motion of the camera.

    Raises:
        InvalidInput: another number of poses than of frames, or no rigid transform.
    """
    if len(poses) != count:
        raise InvalidInput(
            f"there are {len(poses)} poses for {count} frames; expected one pose per frame, in "
            "the order of the frames"
        )
    checked = [se3.check_rigid(pose, f"pose {i}") for i, pose in enumerate(poses)]
    return check_motion(Motion(np.array(checked).reshape(-1, 4, 4), "poses"))


def from_board(
    frames: Frames, spec: BoardSpec, progress: Callable[[int, int], None] | None = None
) -> Motion:
    """Find the printed board in every frame.

    Args:
        frames: the recording.
        spec: the board.
        progress: called with (done, all) after each frame.

    Returns:
        The motion of the camera in the frame of the board.

    Raises:
        InvalidInput: the board is in too few frames, or its scale is not that of the depth.
    """
    finder = BoardFinder(spec)
    poses = np.full((len(frames), 4, 4), np.nan)
    ratios: list[Array] = []
    for index in range(len(frames)):
        frame = frames.frame(index)
        view = finder.find(frame)
        if view is not None:
            poses[index] = se3.inverse(view.cam_from_board)
            ratios.append(scale_against_depth(frame, view))
        if progress is not None:
            progress(index + 1, len(frames))
    motion = Motion(poses, "board", up=np.array([0.0, 0.0, -1.0]))
    if len(motion.used) < max(MIN_FRAMES, MIN_BOARD_SHARE * len(frames)):
        raise InvalidInput(
            f"the board of {spec.columns} x {spec.rows} squares was found in {len(motion.used)} "
            f"of {len(frames)} frames; expected at least {MIN_BOARD_SHARE:.0%}. Is it this board "
            "(sam6d scan board; columns x rows), flat, in view and sharp? Without the option of a "
            "board the motion comes from the scene"
        )
    _check_scale(np.concatenate(ratios), spec)
    return check_motion(motion)


def _check_scale(ratios: Array, spec: BoardSpec) -> None:
    if len(ratios) == 0:
        return
    scale = float(np.median(ratios))
    if abs(scale - 1) > MAX_SCALE_ERROR:
        raise InvalidInput(
            f"the depth images put the board at {scale:.3f} times the distance of squares of "
            f"{1000 * spec.square_m:.1f} mm; expected 1 within {MAX_SCALE_ERROR}. Measure a "
            f"square of the print: one of {1000 * spec.square_m * scale:.1f} mm would fit. If it "
            "is right, check the depth scale"
        )


def check_motion(motion: Motion) -> Motion:
    """Return the motion.

    Raises:
        InvalidInput: too few frames, or the camera hardly moves.
    """
    poses = motion.world_from_cam[motion.used]
    if len(poses) < MIN_FRAMES:
        raise InvalidInput(
            f"{len(poses)} frames have a camera pose; expected at least {MIN_FRAMES}. Record "
            "more, move slowly, and use all frames"
        )
    turn = float(se3.rotation_angle(poses[:, :3, :3], poses[:1, :3, :3]).max())
    shift = float(np.linalg.norm(poses[:, :3, 3] - poses[0, :3, 3], axis=1).max())
    if turn < MIN_TURN_RAD and shift < MIN_SHIFT_M:
        raise InvalidInput(
            f"the camera turns by {np.rad2deg(turn):.1f} degrees and moves by {1000 * shift:.0f} "
            f"mm in the whole recording; expected more than {np.rad2deg(MIN_TURN_RAD):.0f} "
            f"degrees or {1000 * MIN_SHIFT_M:.0f} mm. Walk around the object, or give "
            "--turntable if the object turns before a standing camera"
        )
    return motion


__all__ = ["BoardView", "Frames", "Motion", "check_motion", "from_board", "from_poses"]
