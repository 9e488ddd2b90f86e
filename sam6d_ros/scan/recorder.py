"""Writer of a recording, frame by frame, as ``frames.recordings.Recording`` reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidInput
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.units import MM_PER_M
from sam6d_ros.types import Frame

CAMERA_FILE = "scene_camera.json"
DEPTH_SCALE = 0.2  # mm: 16 bits reach to 13.1 m


class RecordingWriter:
    """Folder of frames with the poses of their cameras, if they are known.

    Args:
        folder: new or empty.

    Raises:
        InvalidInput: the folder has files in it, or cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._cameras: dict[str, Any] = {}
        try:
            if folder.is_dir() and any(folder.iterdir()):
                raise InvalidInput(f"{folder} has files in it; expected a new or empty folder")
            for name in ("rgb", "depth"):
                (folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInput(f"{folder} cannot be made: {error}") from error

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._cameras)

    def add(self, frame: Frame, world_from_cam: NDArray[np.float64] | None = None) -> None:
        """Write one frame.

        Args:
            frame: the RGB-D frame.
            world_from_cam: (4, 4) pose of the camera, metres; None if it is unknown.

        Raises:
            InvalidInput: a file cannot be written.
        """
        number = len(self._cameras)
        entry: dict[str, Any] = {
            "cam_K": frame.camera.matrix.ravel().tolist(),
            "depth_scale": DEPTH_SCALE,
        }
        if world_from_cam is not None:
            cam_from_world = se3.inverse(world_from_cam)
            entry["cam_R_w2c"] = cam_from_world[:3, :3].ravel().tolist()
            entry["cam_t_w2c"] = (MM_PER_M * cam_from_world[:3, 3]).tolist()
        units = np.rint(frame.depth * (MM_PER_M / DEPTH_SCALE))
        depth = np.where(units <= np.iinfo(np.uint16).max, units, 0).astype(np.uint16)
        try:
            self._write("rgb", number, np.ascontiguousarray(frame.rgb[..., ::-1]))
            self._write("depth", number, depth)
            self._cameras[str(number)] = entry
            (self.folder / CAMERA_FILE).write_text(json.dumps(self._cameras) + "\n")
        except OSError as error:
            raise InvalidInput(f"{self.folder} cannot be written: {error}") from error

    def _write(self, kind: str, number: int, image: NDArray) -> None:
        path = self.folder / kind / f"{number:06d}.png"
        path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
