"""Faces of large objects among the large planes of a scene, which are no regions otherwise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.stages.geometric.propose import PLANE_EXTENT_M, face_labels
from sam6d_ros.stages.geometric.scene import SceneMaps

SLACK = 1.15  # of a face: noise, and neighbours that touch it


def has_large_face(model: ObjectModel) -> bool:
    """Return whether a face of the object's box may be taken for a support plane.

    Args:
        model: the object.
    """
    return bool(np.sort(model.box_size)[1] >= PLANE_EXTENT_M)


def with_faces(
    labels: NDArray[np.int32], scene: SceneMaps, model: ObjectModel
) -> NDArray[np.int32]:
    """Return the label image with pieces of large planes that may be faces of a large object.

    A floor or a wall that is clearly larger than the largest face of the object's box is left out.

    Args:
        labels: (H, W) number of the region at each pixel, 0 = none.
        scene: maps of the frame.
        model: the object that is searched.
    """
    smaller, larger = SLACK * np.sort(model.box_size)[1:]
    faces = face_labels(scene, float(larger), float(smaller))
    fresh = (faces > 0) & (labels == 0)
    out = labels.copy()
    out[fresh] = labels.max() + faces[fresh]
    return out
