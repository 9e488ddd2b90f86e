"""From seed pixels to a few good poses of one object: search, fit, compare, thin out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.geometry.camera import back_project
from sam6d_ros.stages.geometric.compare import compare
from sam6d_ros.stages.geometric.fit import fit_to_depth
from sam6d_ros.stages.geometric.library import ObjectKit
from sam6d_ros.stages.geometric.scene import SceneMaps
from sam6d_ros.stages.geometric.search import Hypotheses, Seeds, coarse_search, diverse

MAX_SEEDS = 4000
SPACING_RANGE = 0.06, 0.15  # in diameters, whatever the smallest extent
MIN_CELL_PIXELS = 3
MIN_OBJECT_PX = 20  # an object that projects smaller shows too little


@dataclass(frozen=True)
class SearchEffort:
    """How much is tried.

    Attributes:
        seed_spacing: distance between seeds, in smallest extents of the object.
        fitted: hypotheses per region that are fitted to the depth.
        compared: of them, how many per region are rendered and compared.
        rays: per comparison.
    """

    seed_spacing: float
    fitted: int
    compared: int
    rays: int


def seeds_in(
    scene: SceneMaps, labels: NDArray[np.integer], model: ObjectModel, spacing: float
) -> Seeds:
    """Seeds, evenly spaced in space, over the regions of a (H, W) label image (0 = no region)."""
    diameter = model.diameter
    spacing_m = np.clip(spacing * model.box_size.min(), *(diameter * np.array(SPACING_RANGE)))
    near_enough = scene.depth < scene.camera.fx * diameter / MIN_OBJECT_PX
    pixels = np.argwhere((labels > 0) & (scene.depth > 0) & near_enough)
    if len(pixels) == 0:
        return Seeds(pixels, np.zeros(0, np.int64))
    points = back_project(scene.camera, scene.depth)[pixels[:, 0], pixels[:, 1]]
    region = labels[pixels[:, 0], pixels[:, 1]].astype(np.int64)
    keys = np.column_stack([region, np.floor(points / spacing_m).astype(np.int64)])
    keep = _one_per_cell(keys, points)
    return Seeds(pixels[keep], region[keep]).thinned(MAX_SEEDS)


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
    seeds: Seeds,
    kit: ObjectKit,
    effort: SearchEffort,
    hints: Hypotheses | None = None,
) -> Hypotheses:
    """Poses of one object near the seeds, best first, scored by comparison with the scene."""
    diameter = kit.model.diameter
    found = coarse_search(scene, seeds, kit.views, kit.turned, diameter, kit.use_color)
    found = diverse(found, kit.centre, diameter, effort.fitted)
    if hints is not None:
        found = Hypotheses.joined(hints, found)
    found = fit_to_depth(scene, found, kit.views, diameter, kit.centre, kit.use_color)
    found = diverse(found, kit.centre, diameter, effort.compared)
    return rescored(scene, kit, found, effort.rays)


def rescored(scene: SceneMaps, kit: ObjectKit, hypotheses: Hypotheses, rays: int) -> Hypotheses:
    """The same poses with the scores of a comparison, best first."""
    agreement = compare(scene, kit.model, hypotheses.rotation, hypotheses.translation, rays)
    return hypotheses.with_score(agreement.score)
