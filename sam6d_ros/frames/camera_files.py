"""Camera files: intrinsics in the layouts of BOP, ROS and OpenCV."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from sam6d_ros.errors import InvalidCamera, InvalidFrame, InvalidInput


@dataclass(frozen=True)
class CameraFile:
    """What a camera file says.

    Attributes:
        matrix: flat (9,) camera matrix K in pixels, row-major.
        size: (width, height) in pixels, or None when the file does not say.
        depth_scale: millimetres per unit of an integer depth image, or None.
        note: what the user should know about the file; "" when nothing.
    """

    matrix: tuple[float, ...]
    size: tuple[int, int] | None = None
    depth_scale: float | None = None
    note: str = ""


def read_camera(path: Path, image_id: int | None = None) -> CameraFile:
    """Read intrinsics from JSON or YAML.

    Understands BOP ``camera.json`` (fx, fy, cx, cy), BOP ``scene_camera.json`` (``cam_K``, plain
    or under an image id) and ROS CameraInfo (``k`` or ``camera_matrix.data``).

    Raises:
        InvalidCamera: missing, unreadable, of another layout, or the image id is not in it.
    """
    text = existing(path, "camera file", InvalidCamera).read_text(errors="replace")
    try:
        data = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (json.JSONDecodeError, yaml.YAMLError) as error:
        raise InvalidCamera(f"{path} is neither JSON nor YAML: {error}") from error
    if not isinstance(data, Mapping):
        raise InvalidCamera(f"{path} holds a {type(data).__name__}; expected camera parameters")
    try:
        return parse_camera(pick_image(data, image_id, path))
    except (TypeError, ValueError, KeyError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidCamera(f"{path} has a value of the wrong type: {error}") from error


def pick_image(data: Mapping[str, Any], image_id: int | None, path: Path) -> Mapping[str, Any]:
    """The entry of one image of a scene_camera.json; other files are returned as they are."""
    if not data or not all(str(key).isdigit() for key in data):
        return data
    images = {int(key): value for key, value in data.items()}
    if image_id in images:
        return images[image_id]
    if len(images) == 1 and image_id is None:
        return next(iter(images.values()))
    known = ", ".join(str(i) for i in sorted(images)[:8]) + (" …" if len(images) > 8 else "")
    raise InvalidCamera(f"{path} has no image id {image_id}; it has {known}. Give --image-id")


def parse_camera(data: Mapping[str, Any]) -> CameraFile:
    """Read one of the three layouts; see ``read_camera``."""
    scale = data.get("depth_scale")
    scale = None if scale is None else float(scale)
    width, height = (data.get(key, data.get(f"image_{key}")) for key in ("width", "height"))
    size = (int(width), int(height)) if width and height else None
    if "cam_K" in data:
        return CameraFile(flat_matrix(data["cam_K"]), size, scale)
    if all(key in data for key in ("fx", "fy", "cx", "cy")):
        fx, fy, cx, cy = (float(data[key]) for key in ("fx", "fy", "cx", "cy"))
        return CameraFile((fx, 0, cx, 0, fy, cy, 0, 0, 1), size, scale)
    matrix = data.get("k", data.get("K", data.get("camera_matrix")))
    if matrix is None:
        raise InvalidCamera(
            f"the camera file has the keys {sorted(map(str, data))[:12]}; expected cam_K, or fx fy "
            "cx cy, or k (ROS CameraInfo), or camera_matrix.data (ROS calibration)"
        )
    return CameraFile(flat_matrix(matrix), size, scale, distortion_note(data))


def flat_matrix(matrix: Any) -> tuple[float, ...]:
    """Nine numbers from a flat or nested list, or from ``{"data": [...]}``."""
    values = matrix.get("data") if isinstance(matrix, Mapping) else matrix
    flat = np.asarray(values, np.float64).ravel()
    if flat.size != 9:
        raise InvalidCamera(f"the camera matrix has {flat.size} values; expected 9 (3×3)")
    return tuple(float(value) for value in flat)


def distortion_note(data: Mapping[str, Any]) -> str:
    """A hint when a CameraInfo says that its raw image is distorted."""
    values = data.get("d", data.get("D", data.get("distortion_coefficients")))
    values = values.get("data") if isinstance(values, Mapping) else values
    if values is None or not np.any(np.asarray(values, np.float64)):
        return ""
    return "the camera has lens distortion; poses are right only for rectified images"


def existing(path: Path, what: str, error: type[InvalidInput] = InvalidFrame) -> Path:
    """The path, when it is a file.

    Raises:
        InvalidFrame: (or ``error``) it is not.
    """
    if not path.is_file():
        raise error(f"the {what} {path} does not exist")
    return path
