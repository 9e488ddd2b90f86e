"""Seeds: scene points on which the views of an object are placed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.geometry.camera import ray_directions
from sam6d_ros.stages.geometric.hypotheses import Seeds
from sam6d_ros.stages.geometric.kit import ObjectKit
from sam6d_ros.stages.geometric.scene import SceneMaps

SEED_SPACING = 0.06  # in diameters
MIN_SPACING_PX = 5  # closer seeds would stand on the same few measurements
SEEDS_PER_OBJECT = 28
MIN_AREA_SHARE = 0.08  # of the object's silhouette: a smaller region proves nothing
MIN_CELL_PIXELS = 3
MIN_OBJECT_PX = 20  # an object that projects smaller shows too little


def seeds_in(
    scene: SceneMaps,
    labels: NDArray[np.integer],
    kit: ObjectKit,
    window: NDArray[np.bool_] | None = None,
) -> Seeds:
    """Return seeds spread over the regions of a label image.

    A region gets SEEDS_PER_OBJECT of them for each time the object fits into its area; one that
    shows too little of the object gets none. Of these, those in the window (H, W) are returned.

    Args:
        scene: maps of the frame.
        labels: (H, W) number of the region, 0 = none.
        kit: views of the object.
        window: (H, W) bool; None for the whole image.
    """
    camera, diameter = scene.camera, kit.model.diameter
    near_enough = scene.depth < camera.fx * diameter / MIN_OBJECT_PX
    pixels = 2 * np.argwhere(((labels > 0) & (scene.depth > 0) & near_enough)[::2, ::2])
    if len(pixels) == 0:
        return Seeds(pixels, np.zeros(0, np.int64))
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
    return Seeds(pixels[chosen], region[chosen])


def _one_per_cell(keys: NDArray[np.int64], points: NDArray) -> NDArray[np.int64]:
    """Index of the point nearest to the middle of each cell (an edge point would be noisy)."""
    _, cell, count = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    cell = cell.ravel()
    middle = np.stack([np.bincount(cell, points[:, i]) / count for i in range(3)], axis=1)
    order = np.lexsort((((points - middle[cell]) ** 2).sum(1), cell))
    first = order[np.searchsorted(cell[order], np.arange(len(count)))]
    return first[count >= MIN_CELL_PIXELS]
