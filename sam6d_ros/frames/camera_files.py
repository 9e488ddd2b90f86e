"""Camera files: intrinsics in the layouts of BOP, ROS and OpenCV."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from sam6d_ros.errors import InvalidCamera, InvalidFrame, InvalidInput
from sam6d_ros.frames.camera_info import CameraInfo, Roi
from sam6d_ros.types.text_files import read_text
from sam6d_ros.types.yaml_text import load_first

SUFFIXES = (".json", ".yaml", ".yml", ".xml")
MATRIX_KEYS = ("camera_matrix", "K", "Camera_Matrix")
MAX_MATRIX = 1000  # values; distortion has 14 at most


@dataclass(frozen=True)
class CameraFile:
    """Contents of a camera file.

    Attributes:
        matrix: flat (9,) camera matrix K in pixels, row-major.
        size: (width, height) in pixels, or None when the file does not state it.
        depth_scale: millimetres per unit of an integer depth image, or None.
        note: remark for the user about the file, or "".
    """

    matrix: tuple[float, ...]
    size: tuple[int, int] | None = None
    depth_scale: float | None = None
    note: str = ""


def read_camera(path: Path, image_id: int | None = None) -> CameraFile:
    """Read intrinsics from JSON, YAML or XML.

    Understands BOP ``camera.json`` (fx, fy, cx, cy), BOP ``scene_camera.json`` (``cam_K``, plain
    or under an image id), ROS CameraInfo (``k``, as a message, or ``camera_matrix.data``, as
    camera_calibration writes it; also the output of ``ros2 topic echo``), and calibration files
    of OpenCV.

    Returns:
        Camera matrix, image size and scale of depth, as far as the file has them.

    Raises:
        InvalidCamera: missing, unreadable, of another layout, or the image id is not in it.
    """
    text = read_text(
        existing(path, "camera file", InvalidCamera), "camera file", InvalidCamera, "replace"
    )
    try:
        data = _content(text, path)
    except (json.JSONDecodeError, yaml.YAMLError, RecursionError) as error:
        text = f"{path} is neither JSON nor YAML: {error}{_swapped(path)}"
        raise InvalidCamera(text) from error
    if not isinstance(data, Mapping):
        raise InvalidCamera(
            f"{path} holds a {type(data).__name__}; expected camera parameters{_swapped(path)}"
        )
    try:
        return parse_camera(pick_image(data, image_id, path))
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        if isinstance(error, InvalidInput):
            raise InvalidCamera(f"{path}: {error}") from error
        raise InvalidCamera(f"{path} has a value of the wrong type: {error}") from error


def _swapped(path: Path) -> str:
    """Return the question about a file that is by its name no camera file; or ""."""
    if path.suffix.lower() in ("", *SUFFIXES):
        return ""
    return (
        f"; a camera file is one of {', '.join(SUFFIXES)}: are --camera and --cad, or the camera "
        "and the depth file, swapped?"
    )


def _content(text: str, path: Path) -> Any:
    """Return the first document of a file."""
    if path.suffix == ".json":
        return json.loads(text)
    if text.lstrip().startswith(("%YAML:1", "<?xml")):
        return _opencv_content(text, path)
    # `ros2 topic echo` ends each message by ---
    return load_first(text)


def _opencv_content(text: str, path: Path) -> dict[str, Any]:
    """Return the camera of a calibration file of OpenCV (cv::FileStorage)."""
    try:
        storage = cv2.FileStorage(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
        found = [values for key in MATRIX_KEYS if (values := _opencv_matrix(storage, key))]
        coefficients = _opencv_matrix(storage, "distortion_coefficients")
        nodes = {key: storage.getNode(key) for key in ("image_width", "image_height")}
        sizes = {key: int(node.real()) for key, node in nodes.items() if not node.empty()}
    except (cv2.error, SystemError) as error:
        raise InvalidCamera(f"{path} is no file of OpenCV: {error}") from error
    if not found:
        raise InvalidCamera(f"{path} has no camera_matrix; expected a calibration of OpenCV")
    return {"camera_matrix": found[0], "distortion_coefficients": coefficients, **sizes}


def _opencv_matrix(storage: cv2.FileStorage, key: str) -> list[float]:
    """Return the values of a matrix; none if it is not there.

    Raises:
        InvalidCamera: it states a size of no camera's matrix: memory is taken before it is read.
        cv2.error: it cannot be read.
    """
    node = storage.getNode(key)
    rows, columns = (int(node.getNode(name).real()) for name in ("rows", "cols"))
    if abs(rows * columns) > MAX_MATRIX:
        raise InvalidCamera(
            f"{key} states {rows:g} × {columns:g} values; expected at most {MAX_MATRIX}"
        )
    matrix = node.mat()
    return [] if matrix is None else [float(value) for value in matrix.ravel()]


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
    if not any(key in data for key in ("k", "K", "camera_matrix")):
        raise InvalidCamera(
            f"the camera file has the keys {sorted(map(str, data))[:12]}; expected cam_K, or fx fy "
            "cx cy, or k (ROS CameraInfo), or camera_matrix (calibration of ROS or OpenCV)"
        )
    return _camera_info(data, size, scale)


def _camera_info(
    data: Mapping[str, Any], size: tuple[int, int] | None, scale: float | None
) -> CameraFile:
    """Read a CameraInfo; region and binning need the size of the sensor."""
    matrix = flat_matrix(data.get("k", data.get("K", data.get("camera_matrix"))))
    distortion = _values(data.get("d", data.get("D", data.get("distortion_coefficients"))))
    projection = _values(data.get("p", data.get("P", data.get("projection_matrix"))))
    width, height = size or (0, 0)
    roi = {key: int(data.get("roi", {}).get(key, 0)) for key in Roi.__dataclass_fields__}
    info = CameraInfo(
        width,
        height,
        matrix,
        distortion,
        projection if len(projection) == 12 else (),
        (int(data.get("binning_x", 0)), int(data.get("binning_y", 0))),
        Roi(**roi),
    )
    if size is None and info.is_partial:
        raise InvalidCamera("roi and binning need width and height of the sensor")
    k, image_size = (info.matrix, None) if size is None else info.intrinsics()
    note = ""
    if info.is_distorted:
        note = (
            "the camera has lens distortion; poses are right only for rectified images, with the "
            "intrinsics of P"
        )
    return CameraFile(tuple(float(value) for value in np.ravel(k)), image_size, scale, note)


def _values(value: Any) -> list[float]:
    """Return the numbers of a list, or of ``{"data": [...]}``; none of nothing."""
    value = value.get("data") if isinstance(value, Mapping) else value
    return [] if value is None else [float(v) for v in np.asarray(value, np.float64).ravel()]


def flat_matrix(matrix: Any) -> tuple[float, ...]:
    """Nine numbers from a flat or nested list, or from ``{"data": [...]}``."""
    values = matrix.get("data") if isinstance(matrix, Mapping) else matrix
    flat = np.asarray(values, np.float64).ravel()
    if flat.size != 9:
        raise InvalidCamera(f"the camera matrix has {flat.size} values; expected 9 (3×3)")
    return tuple(float(value) for value in flat)


def existing(path: Path, what: str, error: type[InvalidInput] = InvalidFrame) -> Path:
    """Check that a path is a file.

    Returns:
        The path.

    Raises:
        InvalidFrame: (or ``error``) it is not.
    """
    try:
        found = path.exists()
    except OSError as problem:  # a name that is too long, a folder that may not be read
        raise error(f"the {what} {path} cannot be read: {problem.strerror}") from problem
    if not found:
        raise error(f"the {what} {path} does not exist")
    if not path.is_file():
        raise error(f"the {what} {path} is no regular file")
    return path
