"""Render poses with a few rays each and compare them with the evidence of a frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.stages.geometric.evidence import Evidence
from sam6d_ros.stages.geometric.features import FEATURES, Features, features_of
from sam6d_ros.stages.geometric.hypotheses import Hypotheses
from sam6d_ros.stages.geometric.kit import ObjectKit
from sam6d_ros.stages.kernels.cells import fill_rays
from sam6d_ros.stages.kernels.evidence import gather
from sam6d_ros.stages.kernels.inputs import Maps, Rays

MAX_RAYS = 1_000_000  # per call of the ray caster: bounds the memory
NEAREST_M = 0.05  # a nearer corner of the object's box is behind the camera, or nearly so


def examine(
    view: Evidence, maps: Maps, kit: ObjectKit, poses: Hypotheses, rays: int, full: bool = True
) -> Features:
    """Compare N poses with the scene, with about ``rays`` rays each.

    Args:
        view: maps of the frame.
        maps: the same, for the compiled loops.
        kit: views of the object.
        poses: N hypotheses.
        rays: number of rays per pose.
        full: whether `crease` and `inner` are computed, too; else they are neutral.

    Returns:
        Features of each pose.
    """
    chunk = max(1, MAX_RAYS // rays)
    parts = [
        _examine(view, maps, kit, poses.take(np.arange(i, min(i + chunk, len(poses)))), rays, full)
        for i in range(0, len(poses), chunk)
    ]
    if not parts:
        return Features(np.zeros((0, len(FEATURES))))
    return Features(np.concatenate([part.values for part in parts]))


def _examine(
    view: Evidence, maps: Maps, kit: ObjectKit, poses: Hypotheses, rays: int, full: bool
) -> Features:
    model = kit.model
    cast = cast_poses(view, model, poses, grids_of(view, model, poses, rays))
    placement = view.placement(model, poses.rotation, poses.translation)
    sums = gather(maps, cast, view.surface(model), placement, full)
    z = np.maximum(poses.centres(kit.centre)[:, 2], NEAREST_M)
    camera = view.camera
    median_pixels = float(np.median(kit.views.areas)) * camera.fx * camera.fy / z**2
    return features_of(sums, cast.grids[:, 2], median_pixels, view.registration)


def cast_poses(
    view: Evidence, model: ObjectModel, poses: Hypotheses, grids: NDArray[np.float64]
) -> Rays:
    """Cast the rays of the grids (N, 5) of N poses.

    Args:
        view: maps of the frame.
        model: the object.
        poses: N hypotheses.
        grids: (N, 5) of :func:`grids_of`.

    Returns:
        The hits of all rays.
    """
    offsets = np.concatenate([[0], np.cumsum(grids[:, 3] * grids[:, 4])]).astype(np.int64)
    cells = int(offsets[-1])
    origins, directions = np.empty((cells, 3), np.float32), np.empty((cells, 3), np.float32)
    nothing = np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros((0, 2), np.float32)
    rays = Rays(grids, offsets, directions, *nothing)
    fill_rays(rays, origins, poses.rotation, poses.translation, view.camera)
    hits = model.scene.cast(origins, directions)
    return rays._replace(face=hits.face, distance=hits.distance, bary=hits.bary)


def grids_of(
    view: Evidence, model: ObjectModel, poses: Hypotheses, rays: int
) -> NDArray[np.float64]:
    """Return (N, 5) of x0, y0, stride, columns, rows: a pixel grid over the projected box.

    Args:
        view: maps of the frame.
        model: the object.
        poses: N hypotheses.
        rays: number of rays per pose.
    """
    low, high = extent(view, model, poses)
    width, height = (high - low + 1).T
    stride = np.maximum(np.sqrt(width * height / rays), 1.0)
    columns, rows = np.ceil(width / stride), np.ceil(height / stride)
    return np.stack([low[:, 0], low[:, 1], stride, columns, rows], axis=1)


def extent(
    view: Evidence, model: ObjectModel, poses: Hypotheses
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the corners (N, 2) of the rectangle around the projected box, pixels.

    Outside the image nothing can be compared; half a frame beyond is enough to see what is cut.

    Args:
        view: maps of the frame.
        model: the object.
        poses: N hypotheses.
    """
    camera = view.scene.camera
    points = np.einsum("nij,kj->nki", poses.rotation, model.box_corners)
    points += poses.translation[:, None]
    z = np.maximum(points[..., 2], NEAREST_M)
    u = np.clip(points[..., 0] / z * camera.fx + camera.cx, -0.5 * camera.width, 1.5 * camera.width)
    v = np.clip(
        points[..., 1] / z * camera.fy + camera.cy, -0.5 * camera.height, 1.5 * camera.height
    )
    return np.stack([u.min(1), v.min(1)], 1), np.stack([u.max(1), v.max(1)], 1)
