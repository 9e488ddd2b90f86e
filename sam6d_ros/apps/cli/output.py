"""Output of commands beside JSON: rows of tables, and pictures as PNG files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidInput
from sam6d_ros.geometry import se3
from sam6d_ros.types import PoseEstimate


def pose_text(pose: PoseEstimate) -> list[str]:
    """x, y, z in metres and the quaternion xyzw, for a table."""
    quaternion = " ".join(f"{value:+.3f}" for value in se3.quat_xyzw(pose.cam_from_obj))
    return [*(f"{value:.4f}" for value in pose.cam_from_obj[:3, 3]), quaternion]


def write_png(path: Path, rgb: NDArray[np.uint8]) -> None:
    """Write an RGB image.

    Raises:
        InvalidInput: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), np.ascontiguousarray(rgb[..., ::-1])):
        raise InvalidInput(f"{path} cannot be written")
