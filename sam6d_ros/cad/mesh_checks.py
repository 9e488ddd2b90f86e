"""Faults of scans and exporters in a mesh: stray parts, a far origin, default colours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sam6d_ros.errors import InvalidMesh
from sam6d_ros.geometry.mesh import face_areas

# Vertices are kept in single precision (2^-24 of the distance from the origin): at 1000 sizes from
# the origin, 0.006 % of the size.
MAX_OFFSET = 1000.0
# Parts belong together if the gap between their boxes is below this share of the larger group.
MAX_GAP = 0.25
MAX_STRAY_SHARE = 0.10  # of the surface; what has more is a part of the object
MAX_LEFT_OUT = 0.01  # of the surface; more may be a part that the user wants
MIN_GROWTH = 1.2  # of the diagonal of the box by the strays, to be named
# Greys of exporters for files without colours are white, or 0.4 and brighter, or zeros.
DARKEST_DEFAULT = 100
GREY_TOLERANCE = 2


def check_offset(name: str, vertices: NDArray[np.float64]) -> None:
    """Refuse a mesh that lies too far from its origin for its size, such as one in map coordinates.

    Args:
        name: of the file.
        vertices: (V, 3) of the faces, unit of the file.

    Raises:
        InvalidMesh: with the offset and the remedy.
    """
    low, high = vertices.min(0), vertices.max(0)
    centre, size = (low + high) / 2, float(np.linalg.norm(high - low))
    distance = float(np.linalg.norm(centre))
    if distance > MAX_OFFSET * size:
        place = ", ".join(f"{value:.10g}" for value in centre)
        raise InvalidMesh(
            f"{name} lies {distance:,.6g} units from its origin, at ({place}), and is {size:.4g} "
            f"units large; expected an offset below {MAX_OFFSET:g} times the size, else single "
            "precision loses its shape. Subtract the offset from the vertices (map coordinates?)"
        )


def strays(vertices: NDArray[np.float64], faces: NDArray) -> tuple[NDArray[np.bool_], str]:
    """Find few faces far from the rest that set the size of the box.

    They would set the diameter, by which everything is scaled that is searched.

    Args:
        vertices: (V, 3), unit of the file.
        faces: (F, 3) indices of vertices.

    Returns:
        (F,) which faces are to be left out, and a note on those that are found; or "".
    """
    groups = _groups(vertices, faces)
    areas = np.bincount(groups, face_areas(vertices, faces))
    is_stray = groups != areas.argmax()
    share = 1 - areas.max() / areas.sum()
    none = np.zeros(len(faces), bool)
    if not is_stray.any() or share > MAX_STRAY_SHARE:
        return none, ""
    whole, rest = _diagonal(vertices[faces]), _diagonal(vertices[faces[~is_stray]])
    if whole < MIN_GROWTH * rest:
        return none, ""
    found = (
        f"{100 * share:.2g} % of the surface ({int(is_stray.sum())} faces) lies far from the rest "
        f"and makes the box {whole:.4g} across instead of {rest:.4g} (unit of the file); "
    )
    if share > MAX_LEFT_OUT:
        return none, found + "if these are stray triangles, delete them"
    return is_stray, found + "these stray triangles are left out"


def is_default_color(colors: NDArray[np.uint8]) -> bool:
    """Return whether all colours are one white, grey or black that exporters write by default.

    Args:
        colors: (V, 3) uint8 RGB.
    """
    first = colors[0].astype(int)
    is_grey = np.ptp(first) <= GREY_TOLERANCE
    is_usual = first.max() >= DARKEST_DEFAULT or first.max() <= GREY_TOLERANCE
    return bool(is_grey and is_usual and (colors == colors[0]).all())


def _groups(vertices: NDArray[np.float64], faces: NDArray) -> NDArray[np.intp]:
    """Return the group (F,) of each face: connected faces, and parts that are near each other."""
    ones = np.ones(2 * len(faces), bool)
    ends = (np.tile(faces[:, 0], 2), faces[:, 1:].T.ravel())
    links = coo_array((ones, ends), shape=(len(vertices), len(vertices)))
    part = connected_components(links, directed=False)[1][faces[:, 0]]
    used, part = np.unique(part, return_inverse=True)
    low, high = np.full((len(used), 3), np.inf), np.full((len(used), 3), -np.inf)
    for corner in range(3):
        np.minimum.at(low, part, vertices[faces[:, corner]])
        np.maximum.at(high, part, vertices[faces[:, corner]])
    areas = np.bincount(part, face_areas(vertices, faces))
    group = np.full(len(used), -1)
    while (group < 0).any():
        left = np.flatnonzero(group < 0)
        seed = left[areas[left].argmax()]
        group[_near(low, high, left, int(seed))] = group.max() + 1
    return group[part]


def _near(
    low: NDArray[np.float64], high: NDArray[np.float64], left: NDArray[np.intp], seed: int
) -> NDArray[np.intp]:
    """Return the parts among ``left`` that join the seed; its box grows by what joins."""
    joined = np.array([seed])
    while True:
        box_low, box_high = low[joined].min(0), high[joined].max(0)
        gaps = np.maximum(np.maximum(low[left] - box_high, box_low - high[left]), 0)
        reach = MAX_GAP * np.linalg.norm(box_high - box_low)
        found = left[np.linalg.norm(gaps, axis=1) <= reach]
        if len(found) == len(joined):
            return joined
        joined = found


def _diagonal(corners: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(np.ptp(corners.reshape(-1, 3), axis=0)))
