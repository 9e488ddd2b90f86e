"""Paired comparison of poses of one instance, on the pixels where their renderings differ.

Near-symmetric poses share most of their pixels, and these say nothing about which one is right.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product

import cv2
import numpy as np
from numpy.typing import NDArray

from sam6d_ros.stages.geometric.evidence import Evidence
from sam6d_ros.stages.geometric.examine import cast_poses, extent
from sam6d_ros.stages.geometric.hypotheses import Hypotheses
from sam6d_ros.stages.geometric.kit import ObjectKit
from sam6d_ros.stages.kernels.common import BEHIND_PENALTY
from sam6d_ros.stages.kernels.inputs import Rays

Array = NDArray[np.float64]
Image = NDArray[np.float32]

CELLS = 6000  # of the common pixel grid
MARGIN_PX = 4
BLUR_PX = 1.2  # of rendered and seen colours
SHIFTS_PX = (-3.0, -1.5, 0.0, 1.5, 3.0)  # misregistration of colour and depth that is searched
OTHER_NORMAL = 0.8  # cosine below which two surfaces at one pixel differ
OTHER_COLOR, FULL_COLOR = 6.0, 18.0  # L*a*b* difference that begins to count, and counts fully
LIGHTNESS_ZERO = 16.0  # L* + 16 is proportional to the cube root of the luminance
# Of the scene's light, cube root, model 1; the most is 1: brightening a dark mesh amplifies noise.
LEAST_LIGHT = 0.25
LIGHTNESS_SHARE = 0.5  # of a difference in L*
COLOR_SIGMA = np.array([22.0, 10.0, 10.0], np.float32)  # of L*, a*, b* after the offset
COLOR_CAP = 6.0  # squared standard deviations: no pixel says more
OFFSET_SHRINK, OFFSET_PX = 0.25, 10.0  # pull of the colour offset to zero
MIN_COLOR_PX = 8.0
SURE_PX = 50.0  # pixels of difference at which a mean counts half
BY_ITSELF = ("log_quality", "texture")  # features that count once more beside the log odds
COLUMNS = ("log_odds", *BY_ITSELF, "depth_gain", "color_gain")  # of a pose, for its share


@dataclass(frozen=True)
class _Renderings:
    """K poses on one pixel grid of R rows and C columns.

    Attributes:
        hit: (K, R, C) bool.
        distance: (K, R, C) float32 metres along the optical axis, infinite without a surface.
        lab: (K, R, C, 3) float32 L*a*b* of the model.
        normal: (K, R, C, 3) float64, camera frame, towards the camera.
        rows, columns: (R,), (C,) float64 pixels at the working size.
        stride: pixels between the cells.
    """

    hit: NDArray[np.bool_]
    distance: Image
    lab: Image
    normal: Array
    rows: Array
    columns: Array
    stride: float


def gains(view: Evidence, kit: ObjectKit, poses: Hypotheses) -> Array:
    """Return by how much each pose (K, 2) explains depth and colours better than the others.

    Both are means over all K poses; 0 for a pose alone.

    Args:
        view: maps of the frame.
        kit: views of the object.
        poses: K poses of one instance, of which one at most is right.
    """
    total = np.zeros((len(poses), 2))
    if len(poses) < 2:
        return total
    drawn = _render(view, kit, poses)
    agreement, seen, loose = _depth_agreement(view, kit, poses, drawn)
    measured = _measured(view, drawn)
    has_colors = kit.model.colors is not None
    if has_colors:
        model, shifted = _model_colors(view, drawn, seen), _shifted_colors(view, drawn)
    for i, j in combinations(range(len(poses)), 2):
        differ = _differ(drawn, i, j, loose[i]) & measured
        depth = _mean((agreement[i] - agreement[j])[differ].sum(), differ.sum(), drawn.stride)
        color = 0.0
        if has_colors:
            color = _color_gain(model[i], model[j], seen[i] & seen[j], shifted, drawn.stride)
        total[i] += depth, color
        total[j] -= depth, color
    return total / len(poses)


def shares(columns: Array, weights: Array) -> Array:
    """Return the probability (K,) of each pose of an instance if exactly one is right.

    A conditional logit (McFadden, 1974).

    Args:
        columns: (K, len(COLUMNS)) of each pose.
        weights: (len(COLUMNS),), ``judge.shipped_turn_weights``.
    """
    strength = columns @ weights
    odds = np.exp(strength - strength.max(initial=-np.inf))
    total: Array = odds / odds.sum()
    return total


def _mean(total: float, cells: float, stride: float) -> float:
    """Return a mean over cells, pulled to zero if they are few pixels."""
    area = stride * stride
    return total * area / (cells * area + SURE_PX)


def _render(view: Evidence, kit: ObjectKit, poses: Hypotheses) -> _Renderings:
    height, width = view.scene.depth.shape
    low, high = extent(view, kit.model, poses)
    last = np.array([width - 1, height - 1])
    first = np.clip(np.floor(low.min(0)) - MARGIN_PX, 0, last)
    size = np.clip(np.ceil(high.max(0)) + MARGIN_PX, 0, last) - first + 1
    stride = max(1.0, np.ceil(2 * np.sqrt(size.prod() / CELLS)) / 2)
    columns, rows = ((size - 1) // stride + 1).astype(int)
    grid = np.array([*first, stride, columns, rows], np.float64)
    rays = cast_poses(view, kit.model, poses, np.tile(grid, (len(poses), 1)))
    shape = (len(poses), rows, columns)
    hit = (rays.face >= 0).reshape(shape)
    lab, normal = _surface(view, kit, rays)
    turned = poses.rotation[:, None] @ normal.reshape(len(poses), -1, 3, 1).astype(np.float64)
    return _Renderings(
        hit,
        np.where(hit, rays.distance.reshape(shape), np.inf).astype(np.float32),
        np.where(hit[..., None], lab.reshape(*shape, 3), 0).astype(np.float32),
        turned.reshape(*shape, 3),
        first[1] + stride * np.arange(rows),
        first[0] + stride * np.arange(columns),
        float(stride),
    )


def _surface(view: Evidence, kit: ObjectKit, rays: Rays) -> tuple[Image, Image]:
    """Return colour and normal, towards the camera, of each ray (C, 3), object frame."""
    surface = view.surface(kit.model)
    face = np.maximum(rays.face, 0)
    weights = np.column_stack([1 - rays.bary.sum(1), rays.bary])
    lab = np.einsum("cv,cvi->ci", weights, surface.lab[surface.faces[face]])
    normal = surface.face_normals[face]
    away = (normal * rays.directions).sum(1) > 0
    return lab, np.where(away[:, None], -normal, normal)


def _cells(drawn: _Renderings, image: NDArray, shift: tuple[float, float] = (0, 0)) -> NDArray:
    """Return an image of the working size at the cells of the grid."""
    height, width = image.shape[:2]
    v = np.clip(np.rint(drawn.rows + shift[1]).astype(int), 0, height - 1)
    u = np.clip(np.rint(drawn.columns + shift[0]).astype(int), 0, width - 1)
    found: NDArray = image[np.ix_(v, u)]
    return found


def _measured(view: Evidence, drawn: _Renderings) -> NDArray[np.bool_]:
    return _cells(drawn, view.scene.depth) > 0


def _depth_agreement(
    view: Evidence, kit: ObjectKit, poses: Hypotheses, drawn: _Renderings
) -> tuple[Array, NDArray[np.bool_], Array]:
    """Return agreement (K, R, C) of depth and normal, where each pose is seen, and tolerances."""
    depth = _cells(drawn, view.scene.depth)
    loose = view.placement(kit.model, poses.rotation, poses.translation).loose
    gap = np.where(drawn.hit, (depth - np.where(drawn.hit, drawn.distance, 0)), 0)
    gap = gap / loose[:, None, None]
    wide, fine = _cells(drawn, view.scene.normals), _cells(drawn, view.fine_normals)
    cosine = np.maximum((drawn.normal * wide).sum(-1), (drawn.normal * fine).sum(-1))
    alike = 0.3 + 0.7 * np.clip((cosine - 0.5) / 0.4, 0, 1)
    value = np.exp(-(gap**2)) * alike - BEHIND_PENALTY * np.clip(gap - 1, 0, 1)
    counts = drawn.hit & (depth > 0) & (gap > -2)
    return np.where(counts, value, 0), counts & (gap < 2), loose


def _differ(drawn: _Renderings, i: int, j: int, tolerance: float) -> NDArray[np.bool_]:
    """Return the cells (R, C) where two renderings differ by more than noise."""
    both = drawn.hit[i] & drawn.hit[j]
    gap = np.abs(np.where(both, drawn.distance[i], 0) - np.where(both, drawn.distance[j], 0))
    turned = (drawn.normal[i] * drawn.normal[j]).sum(-1) < OTHER_NORMAL
    differ: NDArray[np.bool_] = (drawn.hit[i] != drawn.hit[j]) | both & ((gap > tolerance) | turned)
    return differ


def _model_colors(view: Evidence, drawn: _Renderings, seen: NDArray[np.bool_]) -> Image:
    """Return the model's colours (K, R, C, 3), blurred, as dim as the scene where a pose is seen.

    L*, a* and b* go with the cube root of the light (CIE 1976), L* from -16: dim light takes the
    contrast of a print, and a plain pose would explain it better than the right one.
    """
    weight = seen.astype(np.float32)
    scene = (weight * (_cells(drawn, view.scene.lab)[..., 0] + LIGHTNESS_ZERO)).sum((1, 2))
    model = (weight * (drawn.lab[..., 0] + LIGHTNESS_ZERO)).sum((1, 2))
    light = np.clip(scene / np.maximum(model, 1), LEAST_LIGHT, 1)[:, None, None, None]
    zero = np.array([LIGHTNESS_ZERO, 0, 0], np.float32)
    dimmed = np.asarray(light * (drawn.lab + zero) - zero, np.float32)
    return np.stack([_blurred(lab, at) for lab, at in zip(dimmed, seen, strict=True)])


def _blurred(lab: Image, where: NDArray[np.bool_]) -> Image:
    """Return colours blurred among the cells that count."""
    weight = where.astype(np.float32)
    total = cv2.GaussianBlur(lab * weight[..., None], (0, 0), BLUR_PX)
    share = cv2.GaussianBlur(weight, (0, 0), BLUR_PX)
    return np.asarray(total / np.maximum(share, 1e-3)[..., None], np.float32)


def _shifted_colors(view: Evidence, drawn: _Renderings) -> Image:
    """Return the seen colours (S, R, C, 3) for every misregistration."""
    u, v = (slice(int(a.min()), int(a.max()) + 1) for a in (drawn.columns, drawn.rows))
    smooth = view.scene.lab.copy()
    smooth[v, u] = cv2.GaussianBlur(smooth[v, u], (0, 0), BLUR_PX * max(1, 0.6 * drawn.stride))
    return np.stack([_cells(drawn, smooth, shift) for shift in product(SHIFTS_PX, SHIFTS_PX)])


def _color_gain(
    first: Image, second: Image, seen: NDArray[np.bool_], scene: Image, stride: float
) -> float:
    """Return by how much the first rendering explains the colours better, mean over the pixels.

    Only pixels where the two have different colours count; each at its best misregistration.
    """
    difference = (first - second) * np.array([LIGHTNESS_SHARE, 1, 1], np.float32)
    strength = np.linalg.norm(difference, axis=-1)
    weight = np.clip((strength - OTHER_COLOR) / (FULL_COLOR - OTHER_COLOR), 0, 1)
    at = np.nonzero(seen & (weight > 0))
    weight = weight[at]
    if weight.sum() * stride * stride < MIN_COLOR_PX:
        return 0.0
    there = scene[:, at[0], at[1]]
    costs = [_color_cost(there - image[at], weight, stride).min() for image in (first, second)]
    return _mean(costs[1] - costs[0], weight.sum(), stride)


def _color_cost(residual: Image, weight: Image, stride: float) -> Array:
    """Return the cost (S,) of colour residuals (S, P, 3) less an offset of light."""
    total = np.einsum("p,spi->si", weight, residual)
    offset = total / ((1 + OFFSET_SHRINK) * weight.sum() + OFFSET_PX / stride**2)
    squares = (((residual - offset[:, None]) / COLOR_SIGMA) ** 2).sum(-1)
    cost: Array = np.minimum(squares, COLOR_CAP) @ weight
    return cost
