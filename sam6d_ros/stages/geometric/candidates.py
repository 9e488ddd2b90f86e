"""From seed pixels to a few good poses of one object: search, fit, compare, thin out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.geometry.camera import ray_directions
from sam6d_ros.stages.geometric.fit import fit_to_depth
from sam6d_ros.stages.geometric.hypotheses import Hypotheses, Seeds, diverse
from sam6d_ros.stages.geometric.kit import ObjectKit
from sam6d_ros.stages.geometric.polish import HEATS, race, rescored
from sam6d_ros.stages.geometric.scene import SceneMaps
from sam6d_ros.stages.geometric.search import coarse_search

SEED_SPACING = 0.06  # in diameters
MIN_SPACING_PX = 5  # closer seeds would stand on the same few measurements
SEEDS_PER_OBJECT = 28
GROUPED_AREA = 3.0  # in silhouettes of the object: a larger region (a full bin) is cut into groups
GROUP_EXTENT = 1.5  # in diameters
MIN_AREA_SHARE = 0.08  # of the object's silhouette: a smaller region proves nothing
MIN_CELL_PIXELS = 3
MIN_OBJECT_PX = 20  # an object that projects smaller shows too little


@dataclass(frozen=True)
class SearchEffort:
    """How much is tried.

    Attributes:
        fitted: hypotheses per group of seeds that are fitted to the depth.
        compared: of them, how many per group are rendered and compared.
    """

    fitted: int
    compared: int


def seeds_in(
    scene: SceneMaps,
    labels: NDArray[np.integer],
    kit: ObjectKit,
    window: NDArray[np.bool_] | None = None,
) -> Seeds:
    """Seeds spread over the regions of a (H, W) label image (0 = no region).

    A region gets SEEDS_PER_OBJECT of them for each time the object fits into its area; one that
    shows too little of the object gets none. Of these, those in the window (H, W) are returned.
    """
    camera, diameter = scene.camera, kit.model.diameter
    near_enough = scene.depth < camera.fx * diameter / MIN_OBJECT_PX
    pixels = 2 * np.argwhere(((labels > 0) & (scene.depth > 0) & near_enough)[::2, ::2])
    if len(pixels) == 0:
        return Seeds(pixels, np.zeros(0, np.int64), np.zeros(0, np.int64))
    depth, region = scene.depth[tuple(pixels.T)], labels[tuple(pixels.T)].astype(np.int64)
    rays = ray_directions(camera, pixels[:, 1].astype(float), pixels[:, 0].astype(float))
    points = rays * depth[:, None]
    area = np.bincount(region, 4 * depth.astype(float) ** 2) / (camera.fx * camera.fy)
    object_area = float(np.median(kit.views.areas))
    pixel_m = np.bincount(region, depth) / np.maximum(np.bincount(region), 1) / camera.fx
    spacing = np.maximum(SEED_SPACING * diameter, MIN_SPACING_PX * pixel_m)[region, None]
    keep = _one_per_cell(np.column_stack([region, np.floor(points / spacing)]).astype(int), points)
    kept = []
    for index in np.flatnonzero(area > MIN_AREA_SHARE * object_area):
        of_region = keep[region[keep] == index]
        wanted = SEEDS_PER_OBJECT * max(1.0, area[index] / object_area)
        kept.append(of_region[:: max(1, round(len(of_region) / wanted))])
    chosen = np.concatenate(kept) if kept else np.zeros(0, np.int64)
    if window is not None:
        chosen = chosen[window[tuple(pixels[chosen].T)]]
    part = np.floor(points / (GROUP_EXTENT * diameter)).astype(np.int64)
    part[area[region] < GROUPED_AREA * object_area] = 0
    group = np.unique(np.column_stack([region, part])[chosen], axis=0, return_inverse=True)[1]
    return Seeds(pixels[chosen], region[chosen], group.ravel())


def _one_per_cell(keys: NDArray[np.int64], points: NDArray) -> NDArray[np.int64]:
    """Index of the point nearest to the middle of each cell (an edge point would be noisy)."""
    _, cell, count = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    cell = cell.ravel()
    middle = np.stack([np.bincount(cell, points[:, i]) / count for i in range(3)], axis=1)
    order = np.lexsort((((points - middle[cell]) ** 2).sum(1), cell))
    first = order[np.searchsorted(cell[order], np.arange(len(count)))]
    return first[count >= MIN_CELL_PIXELS]


def find_candidates(
    scene: SceneMaps,
    labels: NDArray[np.int32],
    kit: ObjectKit,
    effort: SearchEffort,
    hints: Hypotheses | None = None,
    window: NDArray[np.bool_] | None = None,
) -> Hypotheses:
    """Poses of one object in the regions, best first, scored by comparison with the scene.

    Args:
        labels: (H, W) region number of each pixel, 0 = none.
        hints: poses to try besides those the search finds.
        window: (H, W) bool, pixels where the search begins (default: everywhere).
    """
    diameter = kit.model.diameter
    seeds = seeds_in(scene, labels, kit, window)
    found = coarse_search(scene, labels, seeds, kit.views, kit.turned, diameter, kit.use_color)
    found = diverse(found, kit.centre, diameter, effort.fitted)
    if hints is not None:
        found = Hypotheses.joined(hints, found)
    found = fit_to_depth(scene, labels, found, kit.views, diameter, kit.centre, kit.use_color)
    found = diverse(found, kit.centre, diameter, effort.compared)
    return race(scene, labels, kit, rescored(scene, labels, kit, found, HEATS[0].rays))
