"""Report of a scan: coverage, residuals, pictures."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.mesh import Mesh
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.geometry.mesh import face_areas
from sam6d_ros.geometry.raycast import RayScene
from sam6d_ros.scan.motion import Frames, Motion
from sam6d_ros.scan.take import seen_part

Array = NDArray[np.float64]

SECTORS = 12  # around the object
MAX_GAP_SECTORS = 2
LOW_ELEVATION, HIGH_ELEVATION = np.deg2rad([35.0, 45.0])
MAX_UNSEEN = 0.05
BELOW_DEG = -10.0  # elevation of a camera that sees the bottom
NEAR_M = 0.02  # a residual beyond is another thing, or a hand


@dataclass(frozen=True)
class Coverage:
    """From where an object was seen.

    Attributes:
        sectors: how many of 12 sectors around it held a camera.
        elevation_deg: (lowest, highest) elevation of the cameras above its middle.
        unseen_share: share of the surface, bottom left out, that no view saw; its colour and
            perhaps its shape are guessed.
    """

    sectors: int
    elevation_deg: tuple[float, float]
    unseen_share: float

    def notes(self) -> list[str]:
        """Return warnings that name what is missing."""
        out = []
        if self.elevation_deg[0] > BELOW_DEG:
            out.append("nothing was seen from below: the bottom is closed flat")
        if self.sectors < SECTORS - MAX_GAP_SECTORS:
            out.append(
                f"seen from {self.sectors} of {SECTORS} sectors around the object only; walk all "
                "around it, and use all frames"
            )
        if np.deg2rad(self.elevation_deg[1]) < HIGH_ELEVATION:
            out.append(f"no view from above {self.elevation_deg[1]:.0f} degrees: look down on it")
        if np.deg2rad(self.elevation_deg[0]) > LOW_ELEVATION:
            out.append(f"no view from below {self.elevation_deg[0]:.0f} degrees: go down to it")
        if self.unseen_share > MAX_UNSEEN:
            out.append(f"{self.unseen_share:.0%} of the surface was seen by no view")
        return out


def coverage_of(mesh: Mesh, views: Array, eyes: Array) -> Coverage:
    """Measure the coverage.

    Args:
        mesh: the object, z up, metres.
        views: (V,) number of views of each vertex.
        eyes: (N, 3) places of the cameras in the object's frame.

    Returns:
        The coverage.
    """
    away = eyes - mesh.vertices.mean(0)
    azimuth = np.arctan2(away[:, 1], away[:, 0])
    sectors = np.unique(np.floor((azimuth + np.pi) / (2 * np.pi) * SECTORS).clip(0, SECTORS - 1))
    elevation = np.rad2deg(np.arctan2(away[:, 2], np.hypot(away[:, 0], away[:, 1])))
    areas = face_areas(mesh.vertices, mesh.faces)
    side = mesh.vertices[mesh.faces][:, :, 2].max(1) > 1e-4
    unseen = (views[mesh.faces] == 0).all(1)
    share = float(areas[side & unseen].sum() / max(areas[side].sum(), 1e-12))
    return Coverage(len(sectors), (float(elevation.min()), float(elevation.max())), share)


@dataclass(frozen=True)
class Residual:
    """A model beside one frame.

    Attributes:
        frame: index.
        median_mm: median of |measured - model| depth over the model's pixels.
        p90_mm: 90th percentile of the same.
        share: share of the model's pixels whose depth is measured within 20 mm of it.
    """

    frame: int
    median_mm: float
    p90_mm: float
    share: float


def residuals(mesh: Mesh, frames: Frames, motion: Motion, world_from_obj: Array) -> list[Residual]:
    """Compare the model with the depth of every used frame; median NaN where nothing is near."""
    scene = RayScene(mesh.vertices, mesh.faces)
    bounds = np.array([mesh.vertices.min(0), mesh.vertices.max(0)])
    corners = np.stack(np.meshgrid(*bounds.T), -1).reshape(-1, 3)
    out = []
    for index in motion.used:
        frame = frames.frame(int(index))
        cam_from_obj = se3.inverse(motion.world_from_cam[index]) @ world_from_obj
        camera = frame.camera
        x, y, width, height = seen_part(camera, se3.transform(cam_from_obj, corners))
        model = scene.depth(camera, cam_from_obj, (x, y, width, height))
        measured = frame.depth[y : y + height, x : x + width]
        both = (model > 0) & (measured > 0)
        error = np.abs(measured - model)[both]
        near = error[error < NEAR_M]
        share = len(near) / max(1, int((model > 0).sum()))
        middle, high = np.percentile(near, [50, 90]) if len(near) else (np.nan, np.nan)
        out.append(Residual(int(index), 1000 * float(middle), 1000 * float(high), share))
    return out


def report(mesh: Mesh, coverage: Coverage, notes: tuple[str, ...]) -> dict[str, Any]:
    """Return size, coverage and warnings as plain values for JSON."""
    return {
        "size_mm": np.round(1000 * np.ptp(mesh.vertices, axis=0), 1).tolist(),
        "faces": len(mesh.faces),
        "coverage": asdict(coverage),
        "warnings": list(notes),
    }


def pictures(mesh: Mesh, pixels: int = 320) -> dict[str, NDArray[np.uint8]]:
    """Return RGB pictures (H, W, 3) of the front, the right side and the top."""
    middle = (mesh.vertices.min(0) + mesh.vertices.max(0)) / 2
    span = float(np.linalg.norm(np.ptp(mesh.vertices, axis=0)))
    focal = 4.0 * pixels  # from far, nearly without perspective
    camera = CameraIntrinsics(focal, focal, pixels / 2 - 0.5, pixels / 2 - 0.5, pixels, pixels)
    scene = RayScene(mesh.vertices, mesh.faces, mesh.colors)
    sides = {
        "front": (np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, -1.0])),
        "side": (np.array([-1.0, 0.0, 0.0]), np.array([0.0, 0.0, -1.0])),
        "top": (np.array([0.0, 0.0, -1.0]), np.array([0.0, -1.0, 0.0])),
    }
    out = {}
    for name, (forward, down) in sides.items():
        rotation = np.stack([np.cross(down, forward), down, forward])
        eye = middle - 4.2 * span * forward
        pose = se3.from_rotation_translation(rotation, -rotation @ eye)
        out[name] = scene.render(camera, pose).rgb
    return out
