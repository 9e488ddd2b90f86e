"""Noise of depth taken out of a surface: Taubin's smoothing, which does not shrink.

G. Taubin, "A signal processing approach to fair surface design", SIGGRAPH 1995.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix

from sam6d_ros.scan.tsdf import Surface

INWARD, OUTWARD = 0.5, -0.53  # of a vertex towards the mean of its neighbours, and back
ROUNDS = 10
LONG_VOXELS = 4.0  # longer edges are those of patches over holes and of the bottom


def smoothed(surface: Surface, rounds: int = ROUNDS) -> Surface:
    """Return a surface without bumps of a few voxels; patches over holes stay as they are."""
    faces, count = surface.faces, len(surface.vertices)
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    both = np.concatenate([edges, edges[:, ::-1]])
    ones = np.ones(len(both))
    links = coo_matrix((ones, (both[:, 0], both[:, 1])), (count, count)).tocsr()
    links.data[:] = 1  # an edge of two faces is one neighbour
    mean = links.multiply(1 / np.maximum(links.sum(1), 1)).tocsr()
    free = ~_patched(surface, edges)[:, None]
    points = surface.vertices
    for step in (INWARD, OUTWARD) * rounds:
        points = points + step * free * (mean @ points - points)
    return replace(surface, vertices=points)


def _patched(surface: Surface, edges: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return (V,) whether a vertex has an edge that is much longer than a voxel."""
    length = np.linalg.norm(np.diff(surface.vertices[edges], axis=1)[:, 0], axis=1)
    out = np.zeros(len(surface.vertices), bool)
    out[edges[length > LONG_VOXELS * surface.voxel_m]] = True
    return out
