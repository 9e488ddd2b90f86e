"""Coarse search: every view, with in-plane turns, placed on every seed point of the scene."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.stages.geometric import search_kernel
from sam6d_ros.stages.geometric.hypotheses import Hypotheses, Seeds
from sam6d_ros.stages.geometric.scene import SceneMaps
from sam6d_ros.stages.geometric.templates import ANCHORS, ViewTemplates
from sam6d_ros.stages.geometric.turned import TURNS, TurnedViews

PER_VIEW = 2  # placements of one view in one group of seeds that are kept
TOLERANCE = 0.08  # in diameters: half a view step moves the rim by this much


def coarse_search(
    scene: SceneMaps,
    labels: NDArray[np.int32],
    seeds: Seeds,
    templates: ViewTemplates,
    turned: TurnedViews,
    diameter: float,
    use_color: bool,
) -> Hypotheses:
    """The best placements of every view in every group of seeds."""
    camera = scene.camera
    scores, ids = search_kernel.search(
        scene.depth, scene.normals, scene.lab, labels, camera.fx, camera.fy, camera.cx, camera.cy,
        seeds.pixels_rc, turned.anchors, turned.anchor_normals, turned.anchor_lab, turned.points,
        turned.normals, turned.rings, turned.lab, turned.rough_ids, turned.near_ids,
        np.float32(TOLERANCE * diameter), use_color,
    )  # fmt: skip
    seed_index, view = _best_of_group(scores, seeds.group)
    view_turn, anchor = np.divmod(ids[seed_index, view], ANCHORS)
    rows, cols = seeds.pixels_rc[seed_index].T
    z = scene.depth[rows, cols].astype(np.float64)
    points = np.stack(
        [(cols - camera.cx) / camera.fx * z, (rows - camera.cy) / camera.fy * z, z], 1
    )
    rotation = _look_along(points) @ turned.rotation[view_turn].astype(np.float64)
    anchors = templates.anchors[view_turn // TURNS, anchor].astype(np.float64)
    translation = points - np.einsum("nij,nj->ni", rotation, anchors)
    score = scores[seed_index, view]
    return Hypotheses(
        rotation, translation, score, seeds.region[seed_index], seeds.group[seed_index]
    )


def _best_of_group(
    scores: NDArray[np.float32], seed_group: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(seed, view) of the PER_VIEW best seeds for every view in every group of seeds.

    Every view stays in the race: a half-hidden face scores lower here than some small face that
    lies wholly inside the visible part, but wins once both are fitted.
    """
    seed, view = np.nonzero(scores > search_kernel.MIN_SCORE)
    order = np.lexsort((-scores[seed, view], view, seed_group[seed]))
    seed, view = seed[order], view[order]
    group = seed_group[seed] * scores.shape[1] + view
    rank = np.arange(len(group)) - np.searchsorted(group, group)  # place within its group
    return seed[rank < PER_VIEW], view[rank < PER_VIEW]


def _look_along(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smallest rotations (N, 3, 3) that turn the optical axis towards points (N, 3)."""
    f = points / np.linalg.norm(points, axis=1, keepdims=True)
    x, y, z = f.T
    k = 1 / (1 + z)
    rows = [[1 - x * x * k, -x * y * k, x], [-x * y * k, 1 - y * y * k, y], [-x, -y, z]]
    return np.array(rows).transpose(2, 0, 1)
