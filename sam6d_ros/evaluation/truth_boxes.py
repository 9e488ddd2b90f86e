"""Boxes of a perfect or an imprecise 2D detector, from the ground truth of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.evaluation.bop_truth import GroundTruth
from sam6d_ros.types import Boxes, Frame

# What lies nearer than the annotated surface by more than this hides it (BOP's visibility: 15 mm).
OCCLUDER_M = 0.015
MIN_VISIBLE_PX = 50  # a detector finds nothing smaller


def boxes_of_truth(
    frame: Frame,
    truth: Sequence[GroundTruth],
    models: Mapping[int, ObjectModel],
    jitter: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Boxes:
    """Return the boxes around the visible pixels of the annotated instances.

    Args:
        frame: the image.
        truth: its annotated instances.
        models: by object number; instances of other objects get no box. The labels are the
            models' names.
        jitter: each edge is moved by a uniform random share of the box's width or height, at most
            this.
        rng: source of the jitter (default: seed 0).
    """
    rng = rng or np.random.default_rng(0)
    rows, labels = [], []
    for instance in truth:
        if instance.obj_id not in models:
            continue
        model = models[instance.obj_id]
        visible = np.argwhere(_visible(frame, model, instance.cam_from_obj))
        if len(visible) < MIN_VISIBLE_PX:
            continue
        top, left = visible.min(0)
        bottom, right = visible.max(0) + 1
        size = np.array([right - left, bottom - top, right - left, bottom - top])
        rows.append([left, top, right, bottom] + jitter * size * rng.uniform(-1, 1, 4))
        labels.append(model.name)
    xyxy = np.array(rows, np.float32).reshape(-1, 4)
    scores = np.ones(len(rows), np.float32)
    return Boxes(xyxy, tuple(labels), scores, stamp_ns=frame.stamp_ns)


def _visible(
    frame: Frame, model: ObjectModel, cam_from_obj: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return the pixels (H, W) of the silhouette that nothing hides."""
    whole = (0, 0, frame.camera.width, frame.camera.height)
    depth = model.scene.depth(frame.camera, cam_from_obj, whole)
    hidden = (frame.depth > 0) & (frame.depth < depth - OCCLUDER_M)
    return (depth > 0) & ~hidden
