"""Write a synthetic scene in BOP format (millimetres), as ``evaluation.bop`` reads it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import trimesh

from sam6d_ros.cad.bop_models import list_bop_models
from sam6d_ros.cad.objects import write_objects_file
from sam6d_ros.evaluation.bop_writing import info_entry, model_info, truth_entry, write_json
from sam6d_ros.evaluation.synthetic.scene import SyntheticScene
from sam6d_ros.geometry.units import MM_PER_M
from sam6d_ros.types import Frame

DEPTH_SCALE = 0.1  # tenths of a millimetre: nothing is lost in 16 bits up to 6.5 m
MIN_TARGET_VISIBILITY = 0.1  # BOP challenge 2019


def write_bop(scene: SyntheticScene, folder: Path | str, scene_id: int = 0) -> Path:
    """Write images, cameras, truth, models, targets and an objects file.

    Frames are numbered from 1. Objects keep the numbers of the scene's ground truth.

    Returns:
        The folder.
    """
    folder = Path(folder)
    scene_dir = folder / "test" / f"{scene_id:06d}"
    cameras, truths, infos, targets = {}, {}, {}, []
    for im_id, view in enumerate(scene.views, start=1):
        write_images(scene_dir, im_id, view.frame)
        matrix = view.frame.camera.matrix.ravel().tolist()
        cameras[str(im_id)] = {"cam_K": matrix, "depth_scale": DEPTH_SCALE}
        truths[str(im_id)] = [truth_entry(i.obj_id, i.cam_from_obj) for i in view.ground_truth]
        infos[str(im_id)] = [info_entry(i.mask, i.visibility) for i in view.ground_truth]
        targets += [
            {"im_id": im_id, "inst_count": 1, "obj_id": instance.obj_id, "scene_id": scene_id}
            for instance in view.ground_truth
            if instance.visibility >= MIN_TARGET_VISIBILITY
        ]
    write_json(scene_dir / "scene_camera.json", cameras)
    write_json(scene_dir / "scene_gt.json", truths)
    write_json(scene_dir / "scene_gt_info.json", infos)
    write_json(folder / "test_targets_bop19.json", targets)
    _write_models(scene, folder / "models")
    write_objects_file(folder / "objects.yaml", list_bop_models(folder / "models"))
    return folder


def write_images(scene_dir: Path, im_id: int, frame: Frame) -> None:
    """Write ``rgb/`` and ``depth/`` of one frame; depth in tenths of a millimetre."""
    for name in ("rgb", "depth"):
        (scene_dir / name).mkdir(parents=True, exist_ok=True)
    bgr = cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2BGR)
    units = np.rint(frame.depth * (MM_PER_M / DEPTH_SCALE))
    cv2.imwrite(str(scene_dir / "rgb" / f"{im_id:06d}.png"), bgr)
    cv2.imwrite(str(scene_dir / "depth" / f"{im_id:06d}.png"), units.astype(np.uint16))


def _write_models(scene: SyntheticScene, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    infos = {}
    for obj_id, (model, solid) in enumerate(zip(scene.objects, scene.meshes, strict=True), start=1):
        mesh = trimesh.Trimesh(
            MM_PER_M * solid.vertices, solid.faces, vertex_colors=solid.colors, process=False
        )
        mesh.export(folder / f"obj_{obj_id:06d}.ply")
        infos[str(obj_id)] = model_info(model)
    write_json(folder / "models_info.json", infos)
