"""Parts of a dataset in BOP format that is written here: entries of its files, images, models.

https://github.com/thodan/bop_toolkit/blob/master/docs/bop_datasets_format.md
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import trimesh
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel, Symmetries
from sam6d_ros.geometry.units import MM_PER_M
from sam6d_ros.types import mask_box


def truth_entry(obj_id: int, cam_from_obj: NDArray[np.float64]) -> dict[str, Any]:
    """Return an entry of scene_gt.json."""
    return {
        "cam_R_m2c": cam_from_obj[:3, :3].ravel().tolist(),
        "cam_t_m2c": (MM_PER_M * cam_from_obj[:3, 3]).tolist(),
        "obj_id": obj_id,
    }


def info_entry(mask: NDArray[np.bool_] | None, visible: float) -> dict[str, Any]:
    """Return an entry of scene_gt_info.json; −1 stands for what is unknown without a mask."""
    return {
        "bbox_visib": list(mask_box(mask)) if mask is not None else [-1] * 4,
        "px_count_visib": int(mask.sum()) if mask is not None else -1,
        "visib_fract": visible,
    }


def depth_units(depth: NDArray[np.float32], depth_scale: float) -> NDArray[np.uint16]:
    """Return depth (metres) in units of ``depth_scale`` mm; beyond 16 bits it counts as missing."""
    units = np.rint(depth * (MM_PER_M / depth_scale))
    return np.where(units <= np.iinfo(np.uint16).max, units, 0).astype(np.uint16)


def png(image: NDArray) -> bytes:
    """Return the PNG file of an image; channels are RGB."""
    shown = image[..., ::-1] if image.ndim == 3 else image
    return bytes(cv2.imencode(".png", np.ascontiguousarray(shown))[1])


def write_json(path: Path, value: Any) -> None:
    """Write a file of the dataset."""
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def write_models(models: Mapping[int, ObjectModel], folder: Path) -> None:
    """Write the meshes of objects by number, millimetres, and models_info.json."""
    folder.mkdir(parents=True, exist_ok=True)
    for obj_id, model in models.items():
        mesh = trimesh.Trimesh(
            MM_PER_M * model.vertices, model.faces, vertex_colors=model.colors, process=False
        )
        mesh.export(folder / f"obj_{obj_id:06d}.ply")
    infos = {str(obj_id): model_info(model) for obj_id, model in models.items()}
    write_json(folder / "models_info.json", infos)


def model_info(model: ObjectModel) -> dict[str, Any]:
    """Return an entry of models_info.json."""
    low, size = model.vertices.min(0) * MM_PER_M, np.ptp(model.vertices, axis=0) * MM_PER_M
    info: dict[str, Any] = {"name": model.name, "diameter": model.diameter * MM_PER_M}
    for axis, name in enumerate("xyz"):
        info[f"min_{name}"], info[f"size_{name}"] = float(low[axis]), float(size[axis])
    return {**info, **_symmetry_info(model.symmetries)}


def _symmetry_info(symmetries: Symmetries) -> dict[str, Any]:
    info: dict[str, Any] = {}
    if len(symmetries.discrete) > 1:
        motions = symmetries.discrete[1:].copy()
        motions[:, :3, 3] *= MM_PER_M
        info["symmetries_discrete"] = [motion.ravel().tolist() for motion in motions]
    if len(symmetries.axes):
        info["symmetries_continuous"] = [
            {"axis": direction.tolist(), "offset": (MM_PER_M * point).tolist()}
            for direction, point in symmetries.axes
        ]
    return info
