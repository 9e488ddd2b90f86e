"""Pairs of points that two pads can press without slipping (antipodal within friction cones).

Nguyen, "Constructing Force-Closure Grasps", IJRR 1988: two contacts with friction hold an object
when the line between them lies in both friction cones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.grasps.surface import GraspSurface

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ContactPairs:
    """N pairs of contacts, object frame, metres.

    Attributes:
        centre: (N, 3) midway between the contacts.
        axis: (N, 3) unit vectors along the line between them.
        width: (N,) their distance.
        lean: (N,) the larger angle between the line and the two normals, radians.
    """

    centre: Array
    axis: Array
    width: Array
    lean: Array

    def __len__(self) -> int:
        return len(self.width)

    def __getitem__(self, index: NDArray) -> ContactPairs:
        return ContactPairs(
            self.centre[index], self.axis[index], self.width[index], self.lean[index]
        )


def antipodal_pairs(surface: GraspSurface, samples: int, max_width: float) -> ContactPairs:
    """Find pairs of contacts at most ``max_width`` apart, whatever their lean.

    From each sampled point a line goes along the normal through the body; it is then turned to
    the bisector of the two normals, so that neither friction cone is used up by the other. All
    surfaces that the line passes count: a mug is held by its rim or by its outside.

    Returns:
        The pairs.
    """
    points, normals = surface.pick(samples)
    start = np.concatenate([points, points])
    start_normal = np.concatenate([normals, normals])
    direction = np.concatenate([normals, -normals])  # the winding of meshes is not reliable
    ray, ends, face = surface.crossings(start, direction, max_width)
    end_normal = _along(surface.normals(ends, face), direction[ray])
    bisector = direction[ray] + end_normal
    bisector /= np.linalg.norm(bisector, axis=1, keepdims=True)
    start, start_normal = start[ray], _along(start_normal[ray], bisector)
    # again along the bisector; the crossing nearest to the one that it was made for is the same
    ray, again, face = surface.crossings(start, bisector, max_width)
    nearest = _nearest_to(ends, ray, again)
    again, face, ray = again[nearest], face[nearest], ray[nearest]
    end_normal = _along(surface.normals(again, face), bisector[ray])
    return _pairs(start[ray], again, start_normal[ray], end_normal)


def _along(normals: Array, directions: Array) -> Array:
    """The normals with the sign that makes them point along the directions."""
    sign = np.where((normals * directions).sum(1) < 0, -1.0, 1.0)
    return normals * sign[:, None]


def _nearest_to(wanted: Array, ray: NDArray[np.intp], points: Array) -> NDArray[np.intp]:
    """For each ray the index of its crossing that is nearest to the wanted point of that ray."""
    distance = np.linalg.norm(points - wanted[ray], axis=1)
    order = np.lexsort((distance, ray))
    _, first = np.unique(ray[order], return_index=True)
    return order[first]


def _pairs(one: Array, two: Array, normal_one: Array, normal_two: Array) -> ContactPairs:
    width = np.linalg.norm(two - one, axis=1)
    axis = (two - one) / np.maximum(width, 1e-12)[:, None]
    cosine = np.minimum((axis * normal_one).sum(1), (axis * normal_two).sum(1))
    lean = np.arccos(np.clip(cosine, -1, 1))
    return ContactPairs((one + two) / 2, axis, width, lean)
