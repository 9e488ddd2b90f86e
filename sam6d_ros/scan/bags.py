"""Bags to scan from: frames in memory, and the camera motion of their ``/tf``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.errors import BackendUnavailable, InvalidInput, install_extra
from sam6d_ros.scan.frames import InMemory
from sam6d_ros.scan.motion import Frames, Motion, check_motion
from sam6d_ros.types import Frame

Array = NDArray[np.float64]

MOST_IN_MEMORY = 400  # about 1 GB at 640 x 480


def bag_poses(path: Path, frames: Frames, fixed_frame: str) -> Array:
    """Take the camera poses of a bag's frames from ``/tf`` and ``/tf_static``, interpolated.

    Args:
        path: the bag.
        frames: frames of it.
        fixed_frame: TF frame in which the objects are at rest.

    Returns:
        (N, 4, 4) fixed_from_cam; NaN for frames that ``/tf`` does not cover.

    Raises:
        InvalidInput: the bag has no such frame, or does not connect it to the camera.
    """
    from sam6d_ros.frames.bags.transforms import bag_transforms

    transforms = bag_transforms(path)
    poses = np.full((len(frames), 4, 4), np.nan)
    for index in range(len(frames)):
        frame = frames.frame(index)
        poses[index] = transforms.target_from_source(fixed_frame, frame.frame_id, frame.stamp_ns)
    return poses


def missing_note(poses: Array) -> str:
    """Return how many frames have no pose, in a sentence; empty if all have one."""
    missing = int(np.isnan(poses[:, 0, 0]).sum())
    note = f"{missing} of {len(poses)} frames have no transform at their stamp: they are left out"
    return note if missing else ""


def bag_motion(path: Path, frames: Frames, fixed_frame: str) -> Motion:
    """Return the motion of the camera from ``/tf``; frames that it does not cover are left out.

    Raises:
        InvalidInput: see ``bag_poses``; or the camera hardly moves.
    """
    poses = bag_poses(path, frames, fixed_frame)
    note = missing_note(poses)
    try:
        return check_motion(Motion(poses, "tf", notes=(note,) if note else ()))
    except InvalidInput as error:
        raise InvalidInput(f"in the frame {fixed_frame!r}, {error}") from error


def bag_recording(
    path: Path, every: int, names: tuple[str | None, str | None, str | None] = (None, None, None)
) -> InMemory:
    """Read every n-th usable frame of one RGB-D camera of a bag.

    Args:
        path: the bag.
        every: 1 for all frames.
        names: topics of colour, depth and CameraInfo; None for those that are searched.

    Returns:
        The frames, in memory.

    Raises:
        InvalidInput: the bag has no usable frame, or too many to be held.
        BackendUnavailable: rosbags is missing.
    """
    try:
        from sam6d_ros.frames.bags.frames import bag_frames
    except ModuleNotFoundError as error:
        raise BackendUnavailable(
            f"bags need {error.name}, which is missing; {install_extra('bags')}"
        ) from error
    held: list[Frame] = []
    count = 0
    for found in bag_frames(path, names=names):
        if found is None:
            continue
        if count % every == 0:
            held.append(found[1])
        count += 1
        if len(held) > MOST_IN_MEMORY:
            raise InvalidInput(
                f"{path} has more than {MOST_IN_MEMORY * every} frames; expected at most "
                f"{MOST_IN_MEMORY} to be used: state a larger --every than {every}"
            )
    return InMemory(held)
