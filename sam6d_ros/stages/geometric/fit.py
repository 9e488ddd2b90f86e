"""Fit hypotheses to the depth image: projective point-to-plane ICP, all hypotheses at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.stages.geometric.hypotheses import Hypotheses
from sam6d_ros.stages.geometric.kit import ObjectKit
from sam6d_ros.stages.geometric.scene import SceneMaps
from sam6d_ros.stages.kernels.align import fit
from sam6d_ros.stages.kernels.inputs import Gates, Views

ITERATIONS = 10
GATE_START, GATE_END = 0.12, 0.03  # in diameters: how far a match may be
CLOSE_ITERATIONS, CLOSE_GATE = 5, (0.05, 0.02)  # of poses that are nearly right already
MIN_GATE_M = 0.006  # depth sensors are not better than this at a metre


def fit_to_depth(
    scene: SceneMaps,
    labels: NDArray[np.int32],
    hypotheses: Hypotheses,
    kit: ObjectKit,
    iterations: int = ITERATIONS,
    gate: tuple[float, float] = (GATE_START, GATE_END),
) -> Hypotheses:
    """Refine every hypothesis and score it anew on all points of the view it now shows.

    Scores are in [-1, 1]: the share of the view's surface that the scene shows (depth, normal and
    colour agreeing), less penalties for being seen through and for running on past the silhouette.

    Args:
        scene: maps of the frame.
        labels: (H, W) int32, number of the region, 0 = none.
        hypotheses: N poses.
        kit: views of the object.
        iterations: number of steps.
        gate: largest accepted distance at the start and at the end, in diameters.

    Returns:
        The refined hypotheses, in the same order.
    """
    templates, diameter = kit.views, kit.model.diameter
    views = Views(
        np.ascontiguousarray(templates.view_from_obj[:, 2]), templates.points, templates.normals,
        templates.lab, templates.rings, kit.centre,
    )  # fmt: skip
    first, last = (max(share * diameter, MIN_GATE_M) for share in gate)
    rotation, translation, score = fit(
        scene.rgbd(labels), scene.pinhole, views, np.ascontiguousarray(hypotheses.rotation),
        np.ascontiguousarray(hypotheses.translation), hypotheses.region,
        Gates(first, last, iterations), kit.use_color,
    )  # fmt: skip
    return replace(hypotheses, rotation=rotation, translation=translation, score=score)


def fit_closely(
    scene: SceneMaps, labels: NDArray[np.int32], hypotheses: Hypotheses, kit: ObjectKit
) -> Hypotheses:
    """Refine poses that are nearly right already, with few steps and a small gate.

    Args:
        scene: maps of the frame.
        labels: (H, W) int32, number of the region, 0 = none.
        hypotheses: N poses.
        kit: views of the object.

    Returns:
        The refined hypotheses, in the same order.
    """
    return fit_to_depth(scene, labels, hypotheses, kit, CLOSE_ITERATIONS, CLOSE_GATE)
