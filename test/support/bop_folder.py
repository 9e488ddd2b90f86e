"""A small dataset in BOP format, written for a test: boxes in front of a wall."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import trimesh

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.geometry.units import MM_PER_M
from sam6d_ros.runtime.warmup import box_model

CAMERA = CameraIntrinsics(200.0, 200.0, 79.5, 59.5, 160, 120)
SIZES = {1: (0.08, 0.12, 0.16), 5: (0.06, 0.06, 0.20)}
POSES = {
    1: se3.exp([-0.12, 0.02, 0.8, 0.4, 0.2, 0.1]),
    5: se3.exp([0.14, -0.03, 0.9, -0.3, 0.5, 0.2]),
}
WALL_M = 1.4


@dataclass
class BopFolder:
    """Writes scene 3 with the images 7 and 12 of objects 1 and 5; change the fields to break it."""

    root: Path
    depth_scale: float = 0.1
    suffix: str = ".png"
    stem_digits: int = 6
    color_dir: str = "rgb"
    with_colors: bool = True
    with_truth: bool = True
    with_targets: bool = True
    sensor: str = ""  # of BOP-Industrial, in the names of the scene's files
    visibility: dict[int, float] = field(default_factory=lambda: {1: 1.0, 5: 1.0})

    def write(self) -> Path:
        """Write everything; returns the root."""
        scene = self.root / "test" / "000003"
        for folder in (self.root / "models", scene / "depth", scene / self.color_dir):
            folder.mkdir(parents=True)
        self._write_models()
        for im_id in (7, 12):
            self._write_image(scene, im_id)
        k = CAMERA.matrix.ravel().tolist()
        entry = {"cam_K": k, "depth_scale": self.depth_scale}
        dump(scene / "scene_camera.json", {"7": entry, "12": entry})
        if self.with_truth:
            dump(scene / "scene_gt.json", {im: [gt(i) for i in POSES] for im in ("7", "12")})
            info = [{"visib_fract": self.visibility[i]} for i in POSES]
            dump(scene / "scene_gt_info.json", {"7": info, "12": info})
        if self.with_targets:
            targets = [
                {"scene_id": 3, "im_id": im_id, "obj_id": i, "inst_count": 1}
                for im_id in (12, 7)
                for i in POSES
            ]
            dump(self.root / "test_targets_bop19.json", targets)
        if self.sensor:
            for path in list(scene.iterdir()):
                path.rename(scene / f"{path.stem}_{self.sensor}{path.suffix}")
        return self.root

    def _write_models(self) -> None:
        info = {}
        for obj_id, size in SIZES.items():
            model = box_model(size)
            colors = model.colors if self.with_colors else None
            mesh = trimesh.Trimesh(
                model.vertices * MM_PER_M, model.faces, vertex_colors=colors, process=False
            )
            mesh.export(self.root / "models" / f"obj_{obj_id:06d}.ply")
            info[str(obj_id)] = {"diameter": MM_PER_M * model.diameter} | {
                f"{kind}_{axis}": MM_PER_M * value
                for i, axis in enumerate("xyz")
                for kind, value in (("min", -size[i] / 2), ("size", size[i]))
            }
        dump(self.root / "models" / "models_info.json", info)

    def _write_image(self, scene: Path, im_id: int) -> None:
        rgb, depth = render()
        stem = f"{im_id:0{self.stem_digits}d}"
        color = rgb[..., ::-1] if self.color_dir == "rgb" else rgb[..., 0]
        assert cv2.imwrite(str(scene / self.color_dir / f"{stem}{self.suffix}"), color)
        units = np.round(depth * MM_PER_M / self.depth_scale).astype(np.uint16)
        assert cv2.imwrite(str(scene / "depth" / f"{stem}.png"), units)


def models() -> dict[int, ObjectModel]:
    """The objects, onboarded by hand and named obj_000001, obj_000005."""
    from dataclasses import replace

    return {i: replace(box_model(size), name=f"obj_{i:06d}") for i, size in SIZES.items()}


def render() -> tuple[np.ndarray, np.ndarray]:
    """Colour (H, W, 3) uint8 and depth (H, W) float32 metres of the scene."""
    depth = np.full((CAMERA.height, CAMERA.width), WALL_M, np.float32)
    rgb = np.full((*depth.shape, 3), 120, np.uint8)
    for obj_id, model in models().items():
        seen = model.scene.render(CAMERA, POSES[obj_id])
        depth[seen.mask], rgb[seen.mask] = seen.depth[seen.mask], seen.rgb[seen.mask]
    return rgb, depth


def gt(obj_id: int) -> dict:
    """A scene_gt.json entry."""
    pose = POSES[obj_id]
    return {
        "obj_id": obj_id,
        "cam_R_m2c": pose[:3, :3].ravel().tolist(),
        "cam_t_m2c": (MM_PER_M * pose[:3, 3]).tolist(),
    }


def dump(path: Path, data: object) -> None:
    """Write JSON."""
    path.write_text(json.dumps(data))
