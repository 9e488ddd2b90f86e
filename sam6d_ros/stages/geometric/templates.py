"""Rendered views of an object, reduced to a few points: what the search places in a scene."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.errors import InvalidMesh
from sam6d_ros.geometry import se3
from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.stages.geometric.scene import lab_of
from sam6d_ros.stages.kernels.sampling import spread

VIEWS = 162  # about 16° apart
VIEW_PX = 96
VIEW_DISTANCE = 4.0  # in diameters: the perspective of a hand-sized object at arm's length
INNER_POINTS = 128
SAFE_POINTS = 24  # the first points, kept off the rim: the search uses these
SAFE_PX = 5  # half a view step moves the rim by about this much
RING_POINTS = 32
RING_OFFSET = 0.06  # in diameters, outside the silhouette
ANCHORS = 3
TEMPLATE_VERSION = "4"


@dataclass(frozen=True)
class ViewTemplates:
    """V views of one object; the first SAFE_POINTS points lie off the rim and cover the view.

    Attributes:
        view_from_obj: (V, 3, 3) float32 rotations into the view's camera.
        anchors: (V, A, 3) float32 surface points spread over the view, object frame, metres: each
            is tried as the point under a seed, so that hiding one part does not hide the object.
        anchor_normals: (V, A, 3) float32 their unit normals, object frame.
        anchor_lab: (V, A, 3) float32 their colours.
        points: (V, K, 3) float32 visible surface points, object frame, metres.
        normals: (V, K, 3) float32 their unit normals, object frame.
        lab: (V, K, 3) float32 their colours.
        rings: (V, C, 3) float32 points just outside the silhouette at the depth of its edge.
        areas: (V,) float32 silhouette area in m² at the object's distance.
    """

    view_from_obj: NDArray[np.float32]
    anchors: NDArray[np.float32]
    anchor_normals: NDArray[np.float32]
    anchor_lab: NDArray[np.float32]
    points: NDArray[np.float32]
    normals: NDArray[np.float32]
    lab: NDArray[np.float32]
    rings: NDArray[np.float32]
    areas: NDArray[np.float32]


def view_rotations(count: int) -> NDArray[np.float64]:
    """Return rotations view_from_obj whose viewing directions cover the sphere evenly.

    Directions lie on a Fibonacci lattice (Gonzalez 2010, doi:10.1007/s11004-009-9257-x).

    Args:
        count: number of views.

    Returns:
        (count, 3, 3).
    """
    index = np.arange(count) + 0.5
    z = 1 - 2 * index / count
    angle = np.pi * (1 + 5**0.5) * index
    radius = np.sqrt(1 - z * z)
    forward = -np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)
    helper = np.where(np.abs(forward[:, 2:]) > 0.9, [[0.0, 1.0, 0.0]], [[0.0, 0.0, -1.0]])
    right = np.cross(-helper, forward)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    return np.stack([right, np.cross(forward, right), forward], axis=1)


def build_templates(model: ObjectModel) -> dict[str, NDArray]:
    """Render every view of the object; fields of ViewTemplates by name.

    A thin sheet seen from its edge shows next to nothing: the nearest view that shows something
    stands in for such a view.

    Args:
        model: the object.

    Returns:
        Fields of ``ViewTemplates`` by name.

    Raises:
        InvalidMesh: the object shows nothing from any side.
    """
    rotations = view_rotations(VIEWS)
    built = [_build_view(model, rotation) for rotation in rotations]
    shown = np.array([index for index, view in enumerate(built) if view is not None], np.int64)
    if len(shown) == 0:
        raise InvalidMesh(
            f"{model.name} shows no surface from any side; expected a mesh with an extent in at "
            "least two directions"
        )
    nearest = shown[(rotations[:, 2] @ rotations[shown, 2].T).argmax(1)]
    views = [view for index in nearest if (view := built[index]) is not None]
    fields = {name: np.stack([view[name] for view in views]) for name in views[0]}
    return {"view_from_obj": rotations[nearest].astype(np.float32), **fields}


def _view_camera(model: ObjectModel) -> tuple[CameraIntrinsics, float]:
    """A square camera that sees the bounding sphere with a margin, and its pixel size in metres."""
    focal = VIEW_PX * VIEW_DISTANCE / 1.3
    centre = (VIEW_PX - 1) / 2
    camera = CameraIntrinsics(focal, focal, centre, centre, VIEW_PX, VIEW_PX)
    return camera, model.diameter * VIEW_DISTANCE / focal


def _build_view(model: ObjectModel, rotation: NDArray[np.float64]) -> dict[str, NDArray] | None:
    """One view, or None when it shows too little."""
    camera, pixel_m = _view_camera(model)
    centre = model.obj_from_box[:3, 3]
    offset = np.array([0, 0, VIEW_DISTANCE * model.diameter]) - rotation @ centre
    cam_from_obj = se3.from_rotation_translation(rotation, offset)
    view = model.scene.render(camera, cam_from_obj)
    pixels = np.argwhere(view.mask)
    if len(pixels) < SAFE_POINTS:
        return None
    rows, cols = np.concatenate(
        [
            _spread_pixels(_interior(view.mask), SAFE_POINTS),
            _spread_pixels(pixels, INNER_POINTS - SAFE_POINTS),
        ]
    ).T
    anchor_rows, anchor_cols = _anchor_pixels(pixels).T
    normals_obj = (view.normals_cam @ rotation).astype(np.float32)
    lab = masked_lab(view.rgb, view.mask)
    return {
        "anchors": view.points_obj[anchor_rows, anchor_cols],
        "anchor_normals": normals_obj[anchor_rows, anchor_cols],
        "anchor_lab": lab[anchor_rows, anchor_cols],
        "points": view.points_obj[rows, cols],
        "normals": normals_obj[rows, cols],
        "lab": lab[rows, cols],
        "rings": _ring(view.depth, view.mask, camera, cam_from_obj, model.diameter, pixel_m),
        "areas": np.float32(view.mask.sum() * pixel_m**2),
    }


def _interior(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Pixels (N, 2) away from the rim: a view half a step off still covers them."""
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    return np.argwhere(distance >= min(SAFE_PX, np.percentile(distance[mask], 60)))


def _spread_pixels(pixels: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    return pixels[spread(pixels[:, ::-1].astype(np.float32), count)]


def _anchor_pixels(pixels: NDArray[np.int64]) -> NDArray[np.int64]:
    """(A, 2) pixels: the middle of the silhouette, then the middles of its two halves."""
    centred = pixels - pixels.mean(0)
    axis = np.linalg.svd(centred.T @ centred)[0][:, 0]
    along = centred @ axis
    parts = [np.ones(len(pixels), bool), along <= 0, along >= 0][:ANCHORS]
    goals = [pixels[part].mean(0) for part in parts]
    return np.stack([pixels[((pixels - goal) ** 2).sum(1).argmin()] for goal in goals])


def masked_lab(rgb: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return L*a*b* colours smoothed inside the mask only, without the background.

    Args:
        rgb: (H, W, 3) uint8.
        mask: (H, W) bool.
    """
    weight = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.0)[..., None]
    smooth = cv2.GaussianBlur((rgb * mask[..., None]).astype(np.float32), (0, 0), 1.0)
    return lab_of(np.clip(smooth / np.maximum(weight, 1e-3), 0, 255).astype(np.uint8), 0)


def _ring(
    depth: NDArray[np.float32],
    mask: NDArray[np.bool_],
    camera: CameraIntrinsics,
    cam_from_obj: NDArray[np.float64],
    diameter: float,
    pixel_m: float,
) -> NDArray[np.float32]:
    """Points (RING_POINTS, 3) beside the silhouette, at the depth of the nearest surface."""
    outside = (~mask).astype(np.uint8)
    distance, labels = cv2.distanceTransformWithLabels(
        outside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    depth_of_label = np.zeros(labels.max() + 1, np.float32)
    depth_of_label[labels[mask]] = depth[mask]
    band = np.abs(distance - RING_OFFSET * diameter / pixel_m) < 0.75
    pixels = np.argwhere(band)
    rows, cols = _spread_pixels(pixels, RING_POINTS).T
    z = depth_of_label[labels[rows, cols]]
    points = np.stack(
        [(cols - camera.cx) / camera.fx * z, (rows - camera.cy) / camera.fy * z, z], axis=1
    )
    return se3.transform(se3.inverse(cam_from_obj), points).astype(np.float32)
