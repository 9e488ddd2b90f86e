"""Template views of an object: rendered like those of SAM-6D, or from its files."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.template_files import read_template
from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.geometry.mesh import sample_surface
from sam6d_ros.geometry.raycast import Rendering
from sam6d_ros.geometry.units import MM_PER_M
from sam6d_ros.stages.sam6d.template_views import camera_poses, view_numbers

IMAGE_SIZE = 512
FIELD_OF_VIEW_RAD = 0.691  # Blender's default camera, horizontally
DISTANCE_FACTOR = 4.0  # camera distance over the object's reach
POSE_POINTS = 1024  # surface samples for scoring poses
SCORE_POINTS = 2048  # surface samples for the geometric score
SRGB_GAMMA = 2.2


@dataclass(frozen=True)
class TemplateView:
    """One view, 512 × 512 pixels if it was rendered.

    Attributes:
        rgb: (H, W, 3) uint8, black outside the mask.
        mask: (H, W) bool.
        points_obj: (H, W, 3) float32 metres, object frame.
        cam_from_obj: (4, 4).
    """

    rgb: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    points_obj: NDArray[np.float32]
    cam_from_obj: NDArray[np.float64]


def surface_points(model: ObjectModel, count: int, seed: int) -> NDArray[np.float32]:
    """Sample points of the surface.

    Args:
        model: the object.
        count: number of points.
        seed: of the random generator.

    Returns:
        (count, 3) float32, metres, object frame.
    """
    random = np.random.default_rng(seed)
    return sample_surface(model.vertices, model.faces, count, random)[0].astype(np.float32)


def template_camera() -> CameraIntrinsics:
    """Return the camera of the template views."""
    focal = IMAGE_SIZE / 2 / math.tan(FIELD_OF_VIEW_RAD / 2)
    centre = (IMAGE_SIZE - 1) / 2
    return CameraIntrinsics(focal, focal, centre, centre, IMAGE_SIZE, IMAGE_SIZE)


def reach(points: NDArray[np.floating]) -> float:
    """Return the distance of the farther of the two extreme box corners from the origin, metres.

    Args:
        points: (N, 3) metres, object frame.
    """
    return float(max(np.linalg.norm(points.min(0)), np.linalg.norm(points.max(0))))


def render_views(model: ObjectModel, count: int, seed: int) -> list[TemplateView]:
    """Render ``count`` of the 42 views.

    Args:
        model: the object.
        count: number of views, 1 to 42.
        seed: of the points that set the distance of the camera.

    Returns:
        The views in which the object is visible.
    """
    camera = template_camera()
    poses = camera_poses(_distance(model, seed))[view_numbers(count)]
    views = []
    for pose in poses:
        rendering = model.scene.render(camera, pose)
        if rendering.mask.any():
            points = half_precision(rendering.points_obj)
            views.append(TemplateView(shade(rendering, camera), rendering.mask, points, pose))
    return views


def template_views(model: ObjectModel, count: int, seed: int) -> list[TemplateView]:
    """Return ``count`` of the 42 views: from the object's template files, else rendered.

    Args:
        model: the object.
        count: number of views, 1 to 42.
        seed: of the points that set the distance of the camera.

    Raises:
        InvalidObjects: a template file changed since the object was prepared, and is unusable.
    """
    if model.templates is None:
        return render_views(model, count, seed)
    poses = camera_poses(_distance(model, seed))
    views = []
    for number in view_numbers(count):
        found = read_template(model.templates, int(number))
        if found.mask.any():
            views.append(TemplateView(found.rgb, found.mask, found.points_obj, poses[number]))
    return views


@dataclass(frozen=True)
class ViewChoice:
    """Template views that both stages read; the object's library renders them once.

    Attributes:
        count: number of views, 1 to 42.
        seed: of the points that set the distance of the camera.
    """

    count: int
    seed: int

    def __call__(self, model: ObjectModel) -> list[TemplateView]:
        """Return the views of an object.

        Args:
            model: the object.
        """
        return template_views(model, self.count, self.seed)


def _distance(model: ObjectModel, seed: int) -> float:
    """Return the distance of the camera of the views, metres."""
    return DISTANCE_FACTOR * reach(surface_points(model, POSE_POINTS, seed))


def shade(rendering: Rendering, camera: CameraIntrinsics) -> NDArray[np.uint8]:
    """Return the colours under a lamp beside the camera, as the renderer of the original.

    Args:
        rendering: of the object.
        camera: of the rendering.

    Returns:
        (H, W, 3) uint8 RGB, black outside the object.
    """
    v, u = np.mgrid[: camera.height, : camera.width]
    ray = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.shape)], -1)
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    facing = np.clip(-(rendering.normals_cam * ray).sum(-1, keepdims=True), 0, 1)
    lit = rendering.rgb * facing ** (1 / SRGB_GAMMA)  # light is linear, pixels are not
    return (lit * rendering.mask[..., None]).astype(np.uint8)


def half_precision(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Round points as the template files of the original: to half-precision millimetres.

    Args:
        points: (..., 3) float32, metres.

    Returns:
        (..., 3) float32, metres.
    """
    return (points * MM_PER_M).astype(np.float16).astype(np.float32) / np.float32(MM_PER_M)
