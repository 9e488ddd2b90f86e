"""Order in which objects are searched under a time budget: by size and colour of the regions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.geometry.camera import back_project
from sam6d_ros.stages.geometric.kit import ObjectKit
from sam6d_ros.stages.geometric.scene import SceneMaps

CHROMA_EDGES = np.linspace(-80, 80, 11)  # of the histogram of a*b*
WITHOUT_COLOR = 0.5  # likelihood by colour of a mesh without colours
EXTENT_PERCENTILES = (3, 97)


def likely_first(
    scene: SceneMaps, labels: NDArray[np.int32], kits: Sequence[ObjectKit]
) -> list[int]:
    """Return the indices of the objects, the one first that some region resembles most.

    Args:
        scene: maps of the frame.
        labels: (H, W) number of the region at each pixel, 0 = none.
        kits: the objects.
    """
    sizes, histograms = _regions(scene, labels)
    likelihood = [_likelihood(kit, sizes, histograms) for kit in kits]
    return [int(i) for i in np.argsort(-np.array(likelihood), kind="stable")]


def _regions(
    scene: SceneMaps, labels: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the extent (R,) in metres and the histogram of a*b* (R, 10, 10) of each region."""
    points = back_project(scene.camera, scene.depth)
    sizes, histograms = [], []
    for number in np.unique(labels[(labels > 0) & (scene.depth > 0)]):
        inside = (labels == number) & (scene.depth > 0)
        low, high = np.percentile(points[inside], EXTENT_PERCENTILES, axis=0)
        sizes.append(float(np.linalg.norm(high - low)))
        histograms.append(_histogram(scene.lab[inside]))
    return np.array(sizes, np.float64), np.array(histograms, np.float64)


def _histogram(lab: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the shares (10, 10) of colours (N, 3) by a* and b*."""
    counts = np.histogram2d(lab[:, 1], lab[:, 2], bins=(CHROMA_EDGES, CHROMA_EDGES))[0]
    return counts / max(1, len(lab))


def _likelihood(
    kit: ObjectKit, sizes: NDArray[np.float64], histograms: NDArray[np.float64]
) -> float:
    """Return the likelihood of the region that resembles an object most."""
    if not len(sizes):
        return 0.0
    ratio = np.maximum(sizes, 1e-6) / kit.model.diameter
    size = np.minimum(ratio, 1 / ratio)
    if not kit.use_color:
        return float((WITHOUT_COLOR * size).max())
    shared = np.minimum(histograms, _histogram(kit.views.lab.reshape(-1, 3))).sum((1, 2))
    return float((shared * size).max())
