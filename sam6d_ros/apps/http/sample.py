"""Sample request: a synthetic frame of one object, its CAD file, and the true masks."""

from __future__ import annotations

import base64
import tempfile
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import trimesh
from numpy.typing import NDArray

from sam6d_ros.errors import Sam6dError
from sam6d_ros.evaluation.synthetic import make_scene
from sam6d_ros.evaluation.synthetic.scene import SyntheticScene
from sam6d_ros.geometry import rle
from sam6d_ros.geometry.units import MM_PER_M
from sam6d_ros.types import mask_box

NAME, SEED = "tea_box", 0
DEPTH_SCALE = 1.0  # millimetres per unit


class Sample:
    """Sample request of a server; made at the first use.

    Args:
        cache_dir: folder of the cache, or None for a temporary one.

    Attributes:
        folder: of the CAD file; clients may read it.
    """

    def __init__(self, cache_dir: Path | None) -> None:
        self._temporary = tempfile.TemporaryDirectory() if cache_dir is None else None
        base = cache_dir or Path(self._temporary.name if self._temporary else "")
        self.folder, self._cache_dir = base / "sample", cache_dir
        self._body: dict[str, Any] | None = None
        self._lock = threading.Lock()

    def body(self) -> dict[str, Any]:
        """Return a body for inference, pose estimation and full pipeline alike."""
        with self._lock:
            if self._body is None:
                scene = make_scene(SEED, targets=[NAME], cache_dir=self._cache_dir)
                self._body = self._body_of(scene)
            return self._body

    def _body_of(self, scene: SyntheticScene) -> dict[str, Any]:
        frame, truth = scene.frame, scene.ground_truth
        depth = np.rint(frame.depth * (MM_PER_M / DEPTH_SCALE)).astype(np.uint16)
        boxes = [mask_box(item.mask) for item in truth]
        return {
            "rgb_image": png_base64(frame.rgb[..., ::-1]),
            "depth_image": png_base64(depth),
            "cam_params": {
                "cam_K": frame.camera.matrix.ravel().tolist(),
                "depth_scale": DEPTH_SCALE,
            },
            "cad_path": str(self._write_mesh(scene)),
            "detections": {
                "masks": [rle.encode(item.mask) for item in truth],
                "boxes": [list(box) for box in boxes],
                "scores": [1.0 for _ in truth],
            },
        }

    def _write_mesh(self, scene: SyntheticScene) -> Path:
        """Write the CAD file in millimetres, whole or not at all."""
        solid, path = scene.meshes[0], self.folder / f"{NAME}.ply"
        mesh = trimesh.Trimesh(
            MM_PER_M * solid.vertices, solid.faces, vertex_colors=solid.colors, process=False
        )
        data = bytes(mesh.export(file_type="ply"))  # type: ignore[arg-type]
        if not path.is_file() or path.read_bytes() != data:
            self.folder.mkdir(parents=True, exist_ok=True)
            new = path.with_suffix(".new")
            new.write_bytes(data)
            new.replace(path)
        return path


def png_base64(image: NDArray[Any]) -> str:
    """Return an image (grey or BGR, as OpenCV has it) as a PNG file in base64."""
    done, data = cv2.imencode(".png", np.ascontiguousarray(image))
    if not done:
        raise Sam6dError(f"an image {image.shape} {image.dtype} cannot be written as PNG")
    return base64.b64encode(data.tobytes()).decode("ascii")
