"""Scenes and candidates as NPZ files, without pickle. A file appears whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.types import Frame
from training.scenes import TrainingScene, Truth

DEPTH_UNITS_PER_M = 10_000  # tenths of a millimetre


@dataclass(frozen=True)
class Candidates:
    """Scored poses of one scene, before pixels are claimed, with their labels.

    Attributes:
        domain: kind of the scene, or name of the data set.
        features: (F,) names.
        values: (N, F) float64.
        error: (N,) float64, ADD(-S) in diameters to the nearest instance of the name; inf without.
        instance: (N,) int64, index of that instance in the truth; -1 without.
        name: (N,) str, of the object.
        poses: (N, 4, 4) float64, cam_from_obj.
        equal: (N, N) bool, whether two candidates of one object are the same pose: their
            ADD(-S) is below 0.1 diameters.
        masks: (N, M) uint8, packed pixels at a quarter of the size.
        visibility: (T,) float64, of all true instances.
        gains: (N, 2) float64 beside the other poses of its instance (``paired.gains``), or 0.
    """

    domain: str
    features: NDArray[np.str_]
    values: NDArray[np.float64]
    error: NDArray[np.float64]
    instance: NDArray[np.int64]
    name: NDArray[np.str_]
    poses: NDArray[np.float64]
    equal: NDArray[np.bool_]
    masks: NDArray[np.uint8]
    visibility: NDArray[np.float64]
    gains: NDArray[np.float64]

    def column(self, feature: str) -> NDArray[np.float64]:
        """Return the (N,) values of one feature."""
        return self.values[:, list(self.features).index(feature)]


def save_candidates(path: Path, found: Candidates) -> None:
    """Write the candidates of a scene."""
    _save(path, {name: np.asarray(value) for name, value in vars(found).items()})


def load_candidates(path: Path) -> Candidates:
    """Read the candidates of a scene."""
    with np.load(path, allow_pickle=False) as stored:
        arrays: dict[str, Any] = {name: stored[name] for name in stored.files}
    return Candidates(**{**arrays, "domain": str(arrays["domain"])})


def save_scene(path: Path, scene: TrainingScene) -> None:
    """Write a scene; images are PNG."""
    camera = scene.frame.camera
    units = np.rint(scene.frame.depth * DEPTH_UNITS_PER_M).astype(np.uint16)
    values = {
        "domain": np.array(scene.domain),
        "rgb_png": cv2.imencode(".png", cv2.cvtColor(scene.frame.rgb, cv2.COLOR_RGB2BGR))[1],
        "depth_png": cv2.imencode(".png", units)[1],
        "camera": np.array([camera.fx, camera.fy, camera.cx, camera.cy]),
        "names": np.array([truth.name for truth in scene.truth], dtype=str),
        "poses": np.array([truth.cam_from_obj for truth in scene.truth]).reshape(-1, 4, 4),
        "visibility": np.array([truth.visibility for truth in scene.truth], np.float64),
        "asked": np.array(scene.asked, dtype=str),
    }
    _save(path, values)


def load_scene(path: Path) -> TrainingScene:
    """Read a scene."""
    with np.load(path, allow_pickle=False) as stored:
        bgr = np.asarray(cv2.imdecode(stored["rgb_png"], cv2.IMREAD_COLOR))
        units = np.asarray(cv2.imdecode(stored["depth_png"], cv2.IMREAD_UNCHANGED))
        height, width = units.shape
        fx, fy, cx, cy = stored["camera"].tolist()
        camera = CameraIntrinsics(fx=fx, fy=fy, cx=cx, cy=cy, width=width, height=height)
        depth = (units / DEPTH_UNITS_PER_M).astype(np.float32)
        frame = Frame(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), depth, camera)
        truth = zip(stored["names"], stored["poses"], stored["visibility"], strict=True)
        return TrainingScene(
            str(stored["domain"]),
            frame,
            tuple(Truth(str(name), pose, float(visible)) for name, pose, visible in truth),
            tuple(str(name) for name in stored["asked"]),
        )


def _save(path: Path, values: dict[str, NDArray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        np.savez_compressed(file, **values)  # type: ignore[arg-type]
    temporary.replace(path)
