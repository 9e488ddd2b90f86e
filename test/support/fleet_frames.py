"""A small dataset of one box in front of a wall, a little different in every image."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import trimesh

from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.geometry.units import MM_PER_M
from sam6d_ros.runtime.warmup import box_model

CAMERA = CameraIntrinsics(120.0, 120.0, 47.5, 35.5, 96, 72)
BOX = replace(box_model((0.10, 0.14, 0.18)), name="obj_000001")
WALL_M = 1.2
DEPTH_SCALE = 0.1  # mm
IMAGES = 20  # of the tests on a cluster


def pose_in(image: int) -> np.ndarray:
    """cam_from_obj of the box in an image."""
    return se3.exp([0.02 * (image % 5) - 0.04, 0.01 * (image % 3), 0.8, 0.4, 0.1 * image, 0.1])


def write_frames(root: Path, images: int) -> Path:
    """Write a dataset in BOP format with images 1 … n of scene 2; return its folder."""
    scene = root / "test" / "000002"
    for folder in ("models", scene / "rgb", scene / "depth"):
        (root / folder).mkdir(parents=True)
    mesh = trimesh.Trimesh(
        BOX.vertices * MM_PER_M, BOX.faces, vertex_colors=BOX.colors, process=False
    )
    mesh.export(root / "models" / "obj_000001.ply")
    dump(root / "models" / "models_info.json", {"1": {"diameter": BOX.diameter * MM_PER_M}})
    ids = range(1, images + 1)
    for image in ids:
        _write_image(scene, image)
    k = CAMERA.matrix.ravel().tolist()
    entry = {"cam_K": k, "depth_scale": DEPTH_SCALE}
    dump(scene / "scene_camera.json", {str(i): entry for i in ids})
    dump(scene / "scene_gt.json", {str(i): [_truth(i)] for i in ids})
    (root / "objects.yaml").write_text(
        # in so few pixels a right pose is not always probable
        "objects:\n- {name: box, mesh: models/obj_000001.ply, unit: mm, min_score: 0.2}\n"
    )
    return root


def _write_image(scene: Path, image: int) -> None:
    seen = BOX.scene.render(CAMERA, pose_in(image))
    depth = np.where(seen.mask, seen.depth, WALL_M)
    rgb = np.full((*depth.shape, 3), 120, np.uint8)
    rgb[seen.mask] = seen.rgb[seen.mask]
    units = np.rint(depth * MM_PER_M / DEPTH_SCALE).astype(np.uint16)
    cv2.imwrite(str(scene / "rgb" / f"{image:06d}.png"), rgb[..., ::-1])
    cv2.imwrite(str(scene / "depth" / f"{image:06d}.png"), units)


def _truth(image: int) -> dict:
    pose = pose_in(image)
    return {
        "obj_id": 1,
        "cam_R_m2c": pose[:3, :3].ravel().tolist(),
        "cam_t_m2c": (MM_PER_M * pose[:3, 3]).tolist(),
    }


def dump(path: Path, data: object) -> None:
    """Write JSON."""
    path.write_text(json.dumps(data))
