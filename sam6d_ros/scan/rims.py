"""Rims of a surface that was cut along a plane: those that leave the cut are brought back to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Faces = NDArray[np.int32]


def with_fans(faces: Faces, on_cut: NDArray[np.bool_]) -> Faces:
    """Close what a rim goes around away from the cut, such as the unseen part below a handle.

    Args:
        faces: (F, 3).
        on_cut: (V,) bool, vertices on the plane of the cut.

    Returns:
        The faces and fans after them; each rim that touches the cut then stays on it.
    """
    fans: list[tuple[int, int, int]] = []
    for loop in _loops(faces):
        places = np.flatnonzero(on_cut[loop])
        if 2 < len(places) < len(loop):
            fans += _fans(np.roll(loop, -int(places[0])), on_cut)
    return np.concatenate([faces, np.array(fans, np.int32).reshape(-1, 3)])


def _fans(loop: NDArray[np.int64], on_cut: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    """Return triangles from the last vertex on the cut to the edges of a loop that starts on it."""
    apex, out = int(loop[0]), []
    for here, after in zip(loop.tolist(), np.roll(loop, -1).tolist(), strict=True):
        if on_cut[here]:
            apex = here
        elif after != apex:
            out.append((after, here, apex))
    return out


def _loops(faces: Faces) -> list[NDArray[np.int64]]:
    """Return the vertices of each closed rim, in the direction of its faces."""
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).astype(np.int64)
    size = int(edges.max(initial=0)) + 1
    forward, backward = edges[:, 0] * size + edges[:, 1], edges[:, 1] * size + edges[:, 0]
    after = dict(edges[~np.isin(forward, backward)].tolist())
    out = []
    while after:
        start, here = after.popitem()
        loop = [start]
        while here != start and here in after:
            loop.append(here)
            here = after.pop(here)
        if here == start:
            out.append(np.array(loop, np.int64))
    return out
