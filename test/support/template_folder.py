"""Folder of template files as SAM-6D writes it, rendered by the test."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.stages.sam6d.template_views import camera_poses
from sam6d_ros.stages.sam6d.views import DISTANCE_FACTOR, TemplateView, reach, template_camera

SIDE = 48  # pixels


def write_templates(folder: Path, model: ObjectModel) -> Path:
    """Write the files of all 42 views, small."""
    folder.mkdir(parents=True, exist_ok=True)
    camera = template_camera()
    camera = camera.scaled(SIDE / camera.width)
    for number, pose in enumerate(camera_poses(DISTANCE_FACTOR * reach(model.vertices))):
        seen = model.scene.render(camera, pose)
        rgb = np.full((*seen.mask.shape, 3), (200, 60, number), np.uint8)
        write_view(folder, number, TemplateView(rgb, seen.mask, seen.points_obj, pose))
    return folder


def write_view(folder: Path, number: int, view: TemplateView) -> None:
    """Write the three files of one view."""
    cv2.imwrite(str(folder / f"rgb_{number}.png"), view.rgb[..., ::-1])
    cv2.imwrite(str(folder / f"mask_{number}.png"), 255 * view.mask.astype(np.uint8))
    points = np.where(view.mask[..., None], 1e3 * view.points_obj, 0)
    np.save(folder / f"xyz_{number}.npy", points.astype(np.float16))
