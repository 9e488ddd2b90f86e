"""Views in every in-plane turn: the rotations that the search tries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.stages.geometric.templates import SAFE_POINTS, ViewTemplates

TURNS = 24  # in-plane, 15° apart
SEARCH_POINTS = SAFE_POINTS
SEARCH_RINGS = 12
ROUGH_VIEWS = 54  # about 28° apart
NEAR_ROTATIONS = 24  # full-search rotations around each rough one


@dataclass(frozen=True)
class TurnedViews:
    """The first points of every view in every in-plane turn, relative to its first anchor.

    ``rough_ids`` (F,) is a sparse subset of these rotations that is tried first, ``near_ids``
    (F, NEAR_ROTATIONS) the rotations around each of them.
    """

    rotation: NDArray[np.float32]
    anchors: NDArray[np.float32]
    anchor_normals: NDArray[np.float32]
    anchor_lab: NDArray[np.float32]
    points: NDArray[np.float32]
    normals: NDArray[np.float32]
    rings: NDArray[np.float32]
    lab: NDArray[np.float32]
    rough_ids: NDArray[np.int64]
    near_ids: NDArray[np.int64]


def turn_views(templates: ViewTemplates) -> TurnedViews:
    """Return every view rotated in the image plane by TURNS angles.

    Args:
        templates: V views.

    Returns:
        (V·TURNS, …) arrays, view coordinates.
    """
    angles = 2 * np.pi * np.arange(TURNS) / TURNS
    turn = np.zeros((TURNS, 3, 3))
    turn[:, 0, 0] = turn[:, 1, 1] = np.cos(angles)
    turn[:, 1, 0] = np.sin(angles)
    turn[:, 0, 1] = -turn[:, 1, 0]
    turn[:, 2, 2] = 1
    rotation = np.einsum("tij,vjk->vtik", turn, templates.view_from_obj).reshape(-1, 3, 3)
    middle = templates.anchors[:, :1]
    rough = _rough_rotations(templates)

    def turned(values: NDArray) -> NDArray[np.float32]:
        repeated = np.repeat(values, TURNS, axis=0)
        return np.ascontiguousarray(repeated @ rotation.transpose(0, 2, 1), np.float32)

    return TurnedViews(
        rotation=rotation.astype(np.float32),
        anchors=turned(templates.anchors - middle),
        anchor_normals=turned(templates.anchor_normals),
        anchor_lab=templates.anchor_lab,
        points=turned(templates.points[:, :SEARCH_POINTS] - middle),
        normals=turned(templates.normals[:, :SEARCH_POINTS]),
        rings=turned(templates.rings[:, :SEARCH_RINGS] - middle),
        lab=np.ascontiguousarray(templates.lab[:, :SEARCH_POINTS]),
        rough_ids=rough,
        near_ids=_nearest_rotations(rotation[rough], rotation),
    )


def _rough_rotations(templates: ViewTemplates) -> NDArray[np.int64]:
    """Indices of a sparse subset of all turned views: well-spread views, every other turn."""
    forward = templates.view_from_obj[:, 2].astype(float)
    chosen = [0]
    distance = np.full(len(forward), np.inf)
    while len(chosen) < min(ROUGH_VIEWS, len(forward)):
        distance = np.minimum(distance, 1 - forward @ forward[chosen[-1]])
        chosen.append(int(distance.argmax()))
    return (np.array(chosen)[:, None] * TURNS + np.arange(0, TURNS, 2)).ravel()


def _nearest_rotations(few: NDArray, all_: NDArray) -> NDArray[np.int64]:
    """(F, NEAR_ROTATIONS) indices of the rotations with the smallest angle to each of a few."""
    cosine = few.reshape(-1, 9) @ all_.reshape(-1, 9).T
    return np.argpartition(-cosine, NEAR_ROTATIONS, axis=1)[:, :NEAR_ROTATIONS]
