"""Files that SAM-6D writes, for clients that read them from ``output_dir``.

Names and fields as in run_inference_custom.py of both halves of the original
(github.com/JiehongLin/SAM-6D): a list of instances with ``category_id`` from 1, ``bbox``,
``score``, ``segmentation`` (uncompressed RLE); the pose file adds ``R`` and ``t`` in millimetres.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidInput
from sam6d_ros.geometry import rle
from sam6d_ros.geometry.units import MM_PER_M
from sam6d_ros.types import Detections, PoseEstimates, mask_box

FOLDER = "sam6d_results"  # below ``output_dir``


def write_detections(
    output_dir: Path, found: Detections, names: Sequence[str], picture: NDArray[np.uint8]
) -> None:
    """Write detection_ism.json, detection_ism.npz and vis_ism.png.

    Raises:
        InvalidInput: the folder cannot be written.
    """
    folder = _folder(output_dir)
    entries = [
        _entry(names.index(item.class_id), item.bbox_xywh, item.score, item.mask)
        for item in found.items
    ]
    size = picture.shape[:2]
    masks = [item.mask for item in found.items]
    arrays: dict[str, NDArray[Any]] = {
        "category_id": np.array([entry["category_id"] for entry in entries], np.int64),
        "score": np.array([item.score for item in found.items], np.float32),
        "bbox": np.array([item.bbox_xywh for item in found.items], np.int64).reshape(-1, 4),
        "time": np.array(0.0),
        "segmentation": np.stack(masks) if masks else np.zeros((0, *size), bool),
    }
    _write_json(folder / "detection_ism.json", entries)
    _writing(folder / "detection_ism.npz", lambda path: _save_arrays(path, arrays))
    _write_picture(folder / "vis_ism.png", picture)


def write_poses(
    output_dir: Path, poses: PoseEstimates, names: Sequence[str], picture: NDArray[np.uint8]
) -> None:
    """Write detection_pem.json and vis_pem.png.

    Raises:
        InvalidInput: the folder cannot be written.
    """
    folder = _folder(output_dir)
    entries = []
    for pose in poses.items:
        mask = np.zeros(picture.shape[:2], bool) if pose.mask is None else pose.mask
        entry = _entry(names.index(pose.class_id), mask_box(mask), pose.score, mask)
        entry["R"] = pose.cam_from_obj[:3, :3].tolist()
        entry["t"] = (MM_PER_M * pose.cam_from_obj[:3, 3]).tolist()
        entries.append(entry)
    _write_json(folder / "detection_pem.json", entries)
    _write_picture(folder / "vis_pem.png", picture)


def png(rgb: NDArray[np.uint8]) -> bytes:
    """Return an RGB image as the bytes of a PNG file."""
    _, data = cv2.imencode(".png", np.ascontiguousarray(rgb[..., ::-1]))
    return data.tobytes()


def _write_picture(path: Path, rgb: NDArray[np.uint8]) -> None:
    _writing(path, lambda target: target.write_bytes(png(rgb)))


def _save_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    np.savez(path, **arrays)  # type: ignore[arg-type]


def _entry(
    object_id: int, box: Sequence[int], score: float, mask: NDArray[np.bool_]
) -> dict[str, Any]:
    return {
        "scene_id": 0,
        "image_id": 0,
        "category_id": object_id + 1,
        "bbox": list(box),
        "score": float(score),
        "time": 0.0,
        "segmentation": rle.encode_runs(mask),
    }


def _folder(output_dir: Path) -> Path:
    folder = output_dir / FOLDER
    if folder.is_symlink():
        raise InvalidInput(f"{folder} is a symbolic link; expected a folder")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"{folder} cannot be made: {error.strerror}") from error
    return folder


def _write_json(path: Path, value: Sequence[Mapping[str, Any]]) -> None:
    _writing(path, lambda target: target.write_text(json.dumps(value)))


def _writing(path: Path, write: Any) -> None:
    """Replace a file as a whole; a link in its place is replaced, not followed."""
    try:
        # A folder of its own: several requests may write into one folder at the same time.
        with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as folder:
            new = Path(folder) / path.name
            write(new)
            new.replace(path)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror or error}") from error
