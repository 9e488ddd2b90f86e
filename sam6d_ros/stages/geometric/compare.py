"""Render a pose and compare it with the scene: depth, silhouette, colour. Many poses per call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.geometry.depth_noise import COMPARISON
from sam6d_ros.stages.geometric.hypotheses import Hypotheses
from sam6d_ros.stages.geometric.scene import SceneMaps, surface_of
from sam6d_ros.stages.kernels.agreement import (
    CELLS,
    COLOR,
    COLUMNS,
    EDGE,
    EDGE_N,
    FIT,
    HIDDEN,
    MEASURED,
    OUTSIDE,
    TEX,
    TEX_N,
    gather,
)
from sam6d_ros.stages.kernels.cells import fill_rays
from sam6d_ros.stages.kernels.inputs import Rays

MARGIN_CELLS = 2
MAX_RAYS = 1_500_000  # per call of the ray caster: bounds the memory
TOLERANCE_DIAMETERS = 0.02
PATTERN_VARIANCE = 200.0  # (L*a*b* units)²: printed cartons have 350 to 1900, plain things below 60
NEUTRAL_COLOR = 0.7  # of a mesh without colours: what right poses of coloured ones reach
PART_FLOOR = 0.2  # the least factor of contour, colour and texture in the score


@dataclass(frozen=True)
class Agreement:
    """How well N poses explain the scene; every array (N,) float64 in [0, 1].

    Attributes:
        fit: share of the visible, measured silhouette where depth and normal agree.
        visible: share of the silhouette that nothing hides.
        contour: share of the unhidden silhouette where something ends in the scene.
        color: colour similarity where the depth agrees; NEUTRAL_COLOR for a mesh without colours.
        texture: correlation of the colour pattern, 0.5 when there is no pattern to compare.
    """

    fit: NDArray[np.float64]
    visible: NDArray[np.float64]
    contour: NDArray[np.float64]
    color: NDArray[np.float64]
    texture: NDArray[np.float64]

    @property
    def score(self) -> NDArray[np.float64]:
        """One number in [0, 1]: every part must agree, none alone is enough."""
        appearance = _part(self.contour) * _part(self.color) * _part(self.texture)
        return np.sqrt(self.fit * np.sqrt(self.visible) * appearance)


def _part(value: NDArray[np.float64]) -> NDArray[np.float64]:
    return PART_FLOOR + (1 - PART_FLOOR) * value


def depth_tolerance(diameter: float, z: float) -> float:
    """Return the largest deviation of a surface at range z that still agrees, metres.

    Args:
        diameter: of the object, metres.
        z: range, metres.
    """
    return max(TOLERANCE_DIAMETERS * diameter, COMPARISON.at(z))


def compare(
    scene: SceneMaps,
    model: ObjectModel,
    labels: NDArray[np.int32],
    poses: Hypotheses,
    rays: int,
) -> Agreement:
    """Compare N poses with the scene, with about ``rays`` rays each.

    Args:
        labels: (H, W) region numbers. What hides a pose is an occluder, unless it belongs to the
            pose's own region: an object does not hide itself, so that contradicts the pose.
        scene: maps of the frame.
        model: the object.
        poses: N hypotheses.
        rays: number of rays per pose.

    Returns:
        The evidence of each pose.
    """
    chunk = max(1, MAX_RAYS // rays)
    parts = [
        poses.take(np.arange(i, min(i + chunk, len(poses)))) for i in range(0, len(poses), chunk)
    ]
    sums = [_compare_chunk(scene, model, labels, part, rays) for part in parts]
    return agreement_of(np.concatenate(sums) if sums else np.zeros((0, COLUMNS)))


def _compare_chunk(scene, model, labels, poses, rays):  # type: ignore[no-untyped-def]
    rotation, translation = poses.rotation, poses.translation
    grids = _grids(scene, model, rotation, translation, rays)
    offsets = np.concatenate([[0], np.cumsum(grids[:, 3] * grids[:, 4])]).astype(np.int64)
    cells = int(offsets[-1])
    origins, directions = np.empty((cells, 3), np.float32), np.empty((cells, 3), np.float32)
    nothing = np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros((0, 2), np.float32)
    cast = Rays(grids, offsets, directions, *nothing)
    fill_rays(cast, origins, rotation, translation, scene.pinhole)
    hits = model.scene.cast(origins, directions)
    cast = cast._replace(face=hits.face, distance=hits.distance, bary=hits.bary)
    tolerance = np.array([depth_tolerance(model.diameter, z) for z in translation[:, 2]])
    surface = surface_of(model, scene)
    return gather(scene.rgbd(labels), cast, surface, rotation, tolerance, poses.region)


def _grids(scene, model, rotation, translation, rays):  # type: ignore[no-untyped-def]
    """Per pose (x0, y0, stride, columns, rows): a pixel grid over the projected box."""
    points = np.einsum("nij,kj->nki", rotation, model.box_corners) + translation[:, None]
    z = np.maximum(points[..., 2], 0.05)
    u = points[..., 0] / z * scene.camera.fx + scene.camera.cx
    v = points[..., 1] / z * scene.camera.fy + scene.camera.cy
    # Outside the image nothing can be compared; half a frame beyond is enough to see what is cut.
    camera = scene.camera
    u = np.clip(u, -0.5 * camera.width, 1.5 * camera.width)
    v = np.clip(v, -0.5 * camera.height, 1.5 * camera.height)
    width, height = np.ptp(u, axis=1) + 1, np.ptp(v, axis=1) + 1
    stride = np.maximum(np.sqrt(width * height / rays), 1.0)
    margin = MARGIN_CELLS * stride
    columns = np.ceil((width + 2 * margin) / stride).astype(int)
    rows = np.ceil((height + 2 * margin) / stride).astype(int)
    return np.stack([u.min(1) - margin, v.min(1) - margin, stride, columns, rows], axis=1)


def agreement_of(sums: NDArray[np.float64]) -> Agreement:
    """Return the shares of gathered sums.

    Args:
        sums: (N, COLUMNS) of ``kernels.agreement``.
    """
    cells = np.maximum(sums[:, CELLS], 1)
    colored = np.maximum(sums[:, TEX_N], 1)
    return Agreement(
        fit=sums[:, FIT] / np.maximum(sums[:, MEASURED], 0.1 * cells),
        visible=1 - (sums[:, HIDDEN] + sums[:, OUTSIDE]) / cells,
        contour=sums[:, EDGE] / np.maximum(sums[:, EDGE_N], 1),
        color=np.where(sums[:, TEX_N] > 0, sums[:, COLOR] / colored, NEUTRAL_COLOR),
        texture=_texture(sums, colored),
    )


def _texture(sums: NDArray[np.float64], count: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlation of model and scene colours over L, a, b together, mapped to [0, 1]."""
    parts = sums[:, TEX:].reshape(-1, 3, 5) / count[:, None, None]
    mean_m, mean_s, square_m, square_s, product = np.moveaxis(parts, 2, 0)
    weight = np.array([0.5, 1.0, 1.0])
    covariance = ((product - mean_m * mean_s) * weight).sum(1)
    variance_m = ((square_m - mean_m**2) * weight).sum(1)
    variance_s = ((square_s - mean_s**2) * weight).sum(1)
    correlation = covariance / np.sqrt((variance_m + 20) * (variance_s + 20))
    # A plain object correlates with shadows at best: the less pattern, the less it may say.
    reliability = variance_m / (variance_m + PATTERN_VARIANCE)
    return np.clip(0.5 + 0.5 * correlation * reliability, 0, 1)


def explained_mask(
    scene: SceneMaps, model: ObjectModel, cam_from_obj: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return the pixels of the scene whose depth the object at this pose explains.

    Args:
        scene: maps of the frame.
        model: the object.
        cam_from_obj: (4, 4) pose.

    Returns:
        (H, W) bool, at the working resolution.
    """
    rotation, translation = cam_from_obj[None, :3, :3], cam_from_obj[None, :3, 3]
    x0, y0, _, columns, rows = _grids(scene, model, rotation, translation, 10**9)[0]
    left, top = max(0, int(x0)), max(0, int(y0))
    right = min(scene.camera.width, int(x0 + columns) + 1)
    bottom = min(scene.camera.height, int(y0 + rows) + 1)
    mask = np.zeros(scene.depth.shape, bool)
    if right <= left or bottom <= top:
        return mask
    depth = model.scene.depth(scene.camera, cam_from_obj, (left, top, right - left, bottom - top))
    observed = scene.depth[top:bottom, left:right]
    tolerance = 2 * depth_tolerance(model.diameter, float(translation[0, 2]))
    near = (depth > 0) & (observed > 0) & (np.abs(observed - depth) < tolerance)
    mask[top:bottom, left:right] = near
    return mask
