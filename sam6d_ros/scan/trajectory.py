"""Files of camera poses: BOP's scene_camera.json, TUM trajectories, plain JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidInput
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.units import MM_PER_M

Array = NDArray[np.float64]

FORMATS = (
    "scene_camera.json with cam_R_w2c and cam_t_w2c (BOP, millimetres), lines of "
    "'stamp tx ty tz qx qy qz qw' (TUM, metres, world_from_cam), or a JSON list of 4 x 4 "
    "world_from_cam (metres)"
)


def read_poses(path: Path) -> list[Array]:
    """Return world_from_cam (4, 4) metres of each frame, in the order of the file.

    Raises:
        InvalidInput: the file cannot be read or is of another format.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from error
    if text.lstrip()[:1] in ("{", "["):
        try:
            return _from_json(path, json.loads(text))
        except (json.JSONDecodeError, RecursionError) as error:
            raise InvalidInput(f"{path} is no JSON: {error}") from error
    return _from_tum(path, text)


def _from_json(path: Path, content: Any) -> list[Array]:
    try:
        if isinstance(content, list):
            poses = [np.asarray(row, np.float64).reshape(4, 4) for row in content]
        else:
            ordered = [content[key] for key in sorted(content, key=int)]
            poses = [_from_bop(row) for row in ordered]
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"{path} holds no camera poses ({error}); expected {FORMATS}") from error
    return _checked(path, poses)


def _from_bop(row: dict[str, Any]) -> Array:
    rotation = np.asarray(row["cam_R_w2c"], np.float64).reshape(3, 3)
    shift = np.asarray(row["cam_t_w2c"], np.float64).reshape(3) / MM_PER_M
    return se3.inverse(se3.from_rotation_translation(rotation, shift))


def _from_tum(path: Path, text: str) -> list[Array]:
    poses = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            values = [float(word) for word in line.replace(",", " ").split()]
            _, x, y, z, *quaternion = values
            poses.append(se3.from_quat_xyzw_translation(quaternion, [x, y, z]))
        except ValueError as error:
            raise InvalidInput(
                f"{path}, line {number}: {line.strip()[:60]!r}; expected {FORMATS}"
            ) from error
    return _checked(path, poses)


def _checked(path: Path, poses: list[Array]) -> list[Array]:
    return [se3.check_rigid(pose, f"{path}: pose {i}") for i, pose in enumerate(poses)]
