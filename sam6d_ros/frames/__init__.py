"""RGB-D frames from files: colour and depth images and the camera's intrinsics.

The only place where file formats and their units are known; everything later sees a ``Frame``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidCamera, InvalidFrame, InvalidInput
from sam6d_ros.geometry.units import MM_PER_M
from sam6d_ros.types import CameraIntrinsics, Frame


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


def load_frame(
    rgb: Path,
    depth: Path,
    camera: Path,
    depth_scale: float | None = None,
    image_id: int | None = None,
) -> Frame:
    """Read one registered RGB-D frame.

    Args:
        rgb: colour image in any format OpenCV reads.
        depth: see ``read_depth``.
        camera: see ``read_camera``.
        depth_scale: millimetres per unit of the depth image; overrides the camera file.
        image_id: key in a scene_camera.json; the number in the colour file's name by default.

    Raises:
        InvalidFrame, InvalidCamera: a file is missing, unreadable, or they do not fit together.
    """
    color = read_rgb(rgb)
    if image_id is None and rgb.stem.isdigit():
        image_id = int(rgb.stem)
    intrinsics = read_camera(camera, image_id)
    return make_frame(color, read_depth(depth, depth_scale, intrinsics.depth_scale), intrinsics)


def make_frame(rgb: NDArray[np.uint8], depth: NDArray[np.float32], camera: CameraFile) -> Frame:
    """Put the parts together; the camera takes the image's size when its file has none."""
    width, height = camera.size or (rgb.shape[1], rgb.shape[0])
    return Frame(rgb, depth, CameraIntrinsics.from_matrix(camera.matrix, width, height))


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Read a colour (or grey) image as (H, W, 3) uint8 RGB.

    Raises:
        InvalidFrame: the file is missing or no image.
    """
    # An orientation in EXIF would turn colour against depth and intrinsics.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    image = _image(existing(path, "colour image"), flags)
    return np.ascontiguousarray(image[..., ::-1], np.uint8)


def read_depth(
    path: Path, depth_scale: float | None = None, camera_scale: float | None = None
) -> NDArray[np.float32]:
    """Read a depth image as (H, W) float32 metres with 0 where it is invalid.

    Args:
        path: integers (16-bit PNG or TIFF) in millimetres, or floats (.npy, .tiff, .exr) in metres.
        depth_scale: millimetres per unit, whatever the type; overrides all else.
        camera_scale: the same for integers only, as camera files state it.

    Raises:
        InvalidFrame: missing, unreadable, of several channels or of 8 bits.
    """
    existing(path, "depth image")
    raw = _array(path) if path.suffix == ".npy" else _image(path, cv2.IMREAD_UNCHANGED)
    if raw.ndim == 3 and raw.shape[2] == 1:
        raw = raw[..., 0]
    if raw.ndim != 2:
        raise InvalidFrame(
            f"depth {path} has shape {raw.shape}; expected (H, W). Are --rgb and --depth swapped?"
        )
    if depth_scale is None and raw.dtype.kind in "ui":
        depth_scale = camera_scale
    return depth_metres(raw, depth_scale, str(path))


def _array(path: Path) -> NDArray:
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except (ValueError, OSError) as error:
        raise InvalidFrame(f"{path} cannot be read: {error}") from error


def _image(path: Path, flags: int) -> NDArray:
    """Return the stored values as OpenCV reads them."""
    try:
        image = cv2.imread(str(path), flags)
    except cv2.error as error:
        needs = "; set OPENCV_IO_ENABLE_OPENEXR=1 before the process starts"
        remedy = needs if path.suffix == ".exr" else ""
        raise InvalidFrame(f"{path} cannot be read: {error.err}{remedy}") from error
    if image is None:
        raise InvalidFrame(f"{path} is no image that OpenCV can read")
    return image


def depth_metres(raw: NDArray, depth_scale: float | None, name: str) -> NDArray[np.float32]:
    """Convert raw depth values to metres; see ``read_depth``. NaN and infinity become 0."""
    is_float = raw.dtype.kind == "f"
    if not is_float and (raw.dtype.kind not in "ui" or raw.dtype.itemsize < 2):
        raise InvalidFrame(
            f"depth {name} is {raw.dtype}; expected 16-bit integers or floats. "
            "An 8-bit picture of the depth is for viewing and has lost the distances"
        )
    if depth_scale is None:
        depth_scale = MM_PER_M if is_float else 1.0
    if not depth_scale > 0:
        raise InvalidFrame(f"depth_scale {depth_scale} must be positive (millimetres per unit)")
    finite = np.where(np.isfinite(raw), raw, 0)
    return (finite.astype(np.float64) * (depth_scale / MM_PER_M)).astype(np.float32)


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
