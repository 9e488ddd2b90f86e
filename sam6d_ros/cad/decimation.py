"""Bring meshes of millions of faces down to a size that is quick to work with."""

from __future__ import annotations

import fast_simplification
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sam6d_ros.cad.appearance import Parts

# Quadric decimation of ten million faces takes minutes and much memory, so a larger mesh is first
# thinned on a grid, which moves vertices by less than a cell: 0.4 mm on a 15 cm object.
THIN_ABOVE = 1_500_000
GRID_CELLS = 400  # along the longest side


def thin(vertices: NDArray, faces: NDArray, colors: NDArray | None) -> Parts:
    """Merge the vertices of each grid cell into their mean (and mean colour).

    Args:
        vertices: (V, 3).
        faces: (F, 3) indices of vertices.
        colors: (V, 3) uint8 RGB, or None.

    Returns:
        Vertices, faces and colours of the thinned mesh; faces without area are removed.
    """
    low, extent = vertices.min(0), np.ptp(vertices, axis=0).max()
    cell = ((vertices - low) / (extent / GRID_CELLS)).astype(np.int64)
    key = (cell[:, 0] * (GRID_CELLS + 1) + cell[:, 1]) * (GRID_CELLS + 1) + cell[:, 2]
    _, place, count = np.unique(key, return_inverse=True, return_counts=True)

    def mean(values: NDArray) -> NDArray[np.float64]:
        columns = [np.bincount(place, column) / count for column in values.T]
        return np.stack(columns, axis=1)

    faces = place[faces]
    faces = faces[(faces != np.roll(faces, 1, axis=1)).all(1)]
    colors = None if colors is None else np.rint(mean(colors)).astype(np.uint8)
    return mean(vertices), faces, colors


def decimate(vertices: NDArray, faces: NDArray, colors: NDArray | None, count: int) -> Parts:
    """Reduce to about ``count`` faces; a vertex takes the colour of the nearest original one.

    Args:
        vertices: (V, 3).
        faces: (F, 3) indices of vertices.
        colors: (V, 3) uint8 RGB, or None.
        count: number of faces to reach.

    Returns:
        Vertices, faces and colours of the reduced mesh.
    """
    joined, place = np.unique(vertices, axis=0, return_inverse=True)  # seams would not collapse
    faces = place.ravel()[faces]
    faces = faces[(faces != np.roll(faces, 1, axis=1)).all(1)]
    # the library works in float32: bring the mesh to unit size around the origin
    centre, scale = joined.mean(0), np.ptp(joined, axis=0).max()
    small = np.ascontiguousarray((joined - centre) / scale, np.float32)
    points, triangles = fast_simplification.simplify(
        small, np.ascontiguousarray(faces, np.int32), target_count=count
    )
    points = np.asarray(points, np.float64) * scale + centre
    if colors is not None:
        colors = colors[cKDTree(vertices).query(points)[1]]
    return points, np.asarray(triangles, np.int64), colors
