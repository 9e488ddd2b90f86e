"""Coarse search: every view, with in-plane turns, placed on every seed point of the scene."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.stages.geometric.hypotheses import Hypotheses, Seeds
from sam6d_ros.stages.geometric.kit import ObjectKit
from sam6d_ros.stages.geometric.scene import SceneMaps
from sam6d_ros.stages.geometric.templates import ANCHORS
from sam6d_ros.stages.geometric.turned import TURNS
from sam6d_ros.stages.kernels import search as search_kernel
from sam6d_ros.stages.kernels.inputs import RotatedViews

TOLERANCE = 0.08  # in diameters: half a view step moves the silhouette boundary by this much


def coarse_search(
    scene: SceneMaps,
    labels: NDArray[np.int32],
    seeds: Seeds,
    kit: ObjectKit,
) -> Hypotheses:
    """Return the best placement of every view in every place.

    Args:
        scene: maps of the frame.
        labels: (H, W) int32, number of the region, 0 = none.
        seeds: pixels at which the search begins.
        kit: views of the object.
    """
    camera, turned, diameter = scene.camera, kit.turned, kit.model.diameter
    if not len(seeds):
        return Hypotheses.from_poses(np.zeros((0, 4, 4)), np.zeros(0), seeds.region)
    views = RotatedViews(
        turned.anchors, turned.anchor_normals, turned.anchor_lab, turned.points, turned.normals,
        turned.rings, turned.lab, turned.rough_ids, turned.near_ids,
    )  # fmt: skip
    scores, ids = search_kernel.search(
        scene.rgbd(labels), scene.pinhole, seeds.pixels_rc, views,
        np.float32(TOLERANCE * diameter), kit.use_color,
    )  # fmt: skip
    seed_index, view = np.nonzero(scores > search_kernel.MIN_SCORE)
    view_turn, anchor = np.divmod(ids[seed_index, view], ANCHORS)
    rows, cols = seeds.pixels_rc[seed_index].T
    z = scene.depth[rows, cols].astype(np.float64)
    points = np.stack(
        [(cols - camera.cx) / camera.fx * z, (rows - camera.cy) / camera.fy * z, z], 1
    )
    rotation = _look_along(points) @ turned.rotation[view_turn].astype(np.float64)
    anchors = kit.views.anchors[view_turn // TURNS, anchor].astype(np.float64)
    translation = points - np.einsum("nij,nj->ni", rotation, anchors)
    score = scores[seed_index, view]
    found = Hypotheses(
        rotation, translation, score, seeds.region[seed_index], view, np.arange(len(view))
    ).placed(kit.centre, diameter)
    return found.take(_best_of_each_view(found.score, found.place, view))


def _best_of_each_view(
    score: NDArray[np.float32], place: NDArray[np.int64], view: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the index of the best placement of every view in every place.

    Every view stays: a half-hidden face scores lower here than some small face that lies wholly
    inside the visible part, but wins once both are fitted.
    """
    order = np.lexsort((-score, view, place))
    first = np.diff(place[order], prepend=-1) != 0
    first |= np.diff(view[order], prepend=-1) != 0
    return order[first]


def _look_along(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smallest rotations (N, 3, 3) that turn the optical axis towards points (N, 3)."""
    f = points / np.linalg.norm(points, axis=1, keepdims=True)
    x, y, z = f.T
    k = 1 / (1 + z)
    rows = [[1 - x * x * k, -x * y * k, x], [-x * y * k, 1 - y * y * k, y], [-x, -y, z]]
    return np.array(rows).transpose(2, 0, 1)
