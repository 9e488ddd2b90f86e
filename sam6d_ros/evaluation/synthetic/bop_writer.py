"""Write a made-up scene in BOP format (millimetres), as ``evaluation.bop`` reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import trimesh

from sam6d_ros.cad.bop_models import list_bop_models
from sam6d_ros.cad.model import ObjectModel, Symmetries
from sam6d_ros.cad.objects import write_objects_file
from sam6d_ros.evaluation.synthetic.scene import Instance, SyntheticScene, SyntheticView
from sam6d_ros.geometry.units import MM_PER_M
from sam6d_ros.types import mask_box

DEPTH_SCALE = 0.1  # tenths of a millimetre: nothing is lost in 16 bits up to 6.5 m
MIN_TARGET_VISIBILITY = 0.1  # BOP challenge 2019


def write_bop(scene: SyntheticScene, folder: Path | str, scene_id: int = 0) -> Path:
    """Write images, cameras, truth, models, targets and an objects file; returns the folder.

    Frames are numbered from 1. Objects keep the numbers of the scene's ground truth.
    """
    folder = Path(folder)
    scene_dir = folder / "test" / f"{scene_id:06d}"
    for name in ("rgb", "depth"):
        (scene_dir / name).mkdir(parents=True, exist_ok=True)
    cameras, truths, infos, targets = {}, {}, {}, []
    for im_id, view in enumerate(scene.views, start=1):
        _write_images(scene_dir, im_id, view)
        matrix = view.frame.camera.matrix.ravel().tolist()
        cameras[str(im_id)] = {"cam_K": matrix, "depth_scale": DEPTH_SCALE}
        truths[str(im_id)] = [_truth(instance) for instance in view.ground_truth]
        infos[str(im_id)] = [_info(instance) for instance in view.ground_truth]
        targets += [
            {"im_id": im_id, "inst_count": 1, "obj_id": instance.obj_id, "scene_id": scene_id}
            for instance in view.ground_truth
            if instance.visibility >= MIN_TARGET_VISIBILITY
        ]
    _write_json(scene_dir / "scene_camera.json", cameras)
    _write_json(scene_dir / "scene_gt.json", truths)
    _write_json(scene_dir / "scene_gt_info.json", infos)
    _write_json(folder / "test_targets_bop19.json", targets)
    _write_models(scene, folder / "models")
    write_objects_file(folder / "objects.yaml", list_bop_models(folder / "models"))
    return folder


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def _write_images(scene_dir: Path, im_id: int, view: SyntheticView) -> None:
    bgr = cv2.cvtColor(view.frame.rgb, cv2.COLOR_RGB2BGR)
    units = np.rint(view.frame.depth * (MM_PER_M / DEPTH_SCALE))
    cv2.imwrite(str(scene_dir / "rgb" / f"{im_id:06d}.png"), bgr)
    cv2.imwrite(str(scene_dir / "depth" / f"{im_id:06d}.png"), units.astype(np.uint16))


def _truth(instance: Instance) -> dict[str, Any]:
    return {
        "cam_R_m2c": instance.cam_from_obj[:3, :3].ravel().tolist(),
        "cam_t_m2c": (MM_PER_M * instance.cam_from_obj[:3, 3]).tolist(),
        "obj_id": instance.obj_id,
    }


def _info(instance: Instance) -> dict[str, Any]:
    return {
        "bbox_visib": list(mask_box(instance.mask)),
        "px_count_visib": int(instance.mask.sum()),
        "visib_fract": instance.visibility,
    }


def _write_models(scene: SyntheticScene, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    infos = {}
    for obj_id, (model, solid) in enumerate(zip(scene.objects, scene.meshes, strict=True), start=1):
        mesh = trimesh.Trimesh(
            MM_PER_M * solid.vertices, solid.faces, vertex_colors=solid.colors, process=False
        )
        mesh.export(folder / f"obj_{obj_id:06d}.ply")
        infos[str(obj_id)] = _model_info(model)
    _write_json(folder / "models_info.json", infos)


def _model_info(model: ObjectModel) -> dict[str, Any]:
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
