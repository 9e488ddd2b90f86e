"""Which pose of an instance is right: weights of ``stages.geometric.paired``, fitted on groups.

A conditional logit (McFadden, 1974): of the different poses that explain the same pixels, given
that one of them is right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from sam6d_ros.stages.geometric.evidence import Evidence
from sam6d_ros.stages.geometric.hypotheses import Hypotheses
from sam6d_ros.stages.geometric.judge import shipped_judge
from sam6d_ros.stages.geometric.kit import ObjectKit
from sam6d_ros.stages.geometric.paired import BY_ITSELF, gains
from sam6d_ros.stages.geometric.surroundings import together
from training.decision import Pixels, groups
from training.files import Candidates
from training.labels import RIGHT, clear

Array = NDArray[np.float64]
LEAST_LOG_ODDS = -6.0  # of an instance whose poses are compared: others are not returned
PENALTY = 1e-3  # of squared weights of standardized columns, per instance


def with_gains(found: Candidates, view: Evidence, kit_of: Callable[[str], ObjectKit]) -> Candidates:
    """Return the candidates with the gains of those that are poses of an instance.

    Args:
        found: candidates of a scene.
        view: evidence of its frame.
        kit_of: returns an object by its name, with the colours that the frame can show.
    """
    log_odds = shipped_judge().log_odds(found.values)
    values = found.gains.copy()
    for rows in groups(found, Pixels(found), log_odds):
        if together(log_odds[rows])[0] > LEAST_LOG_ODDS:
            poses = Hypotheses.from_poses(found.poses[rows], log_odds[rows], np.arange(len(rows)))
            values[rows] = gains(view, kit_of(str(found.name[rows[0]])), poses)
    return replace(found, gains=values)


def columns_of(scene: Candidates, rows: Sequence[int], log_odds: Array) -> Array:
    """Return ``paired.COLUMNS`` (K, C) of the poses of an instance.

    Args:
        scene: candidates.
        rows: of the poses.
        log_odds: (N,) of each candidate by itself.
    """
    chosen = list(rows)
    by_itself = (scene.column(name)[chosen] for name in BY_ITSELF)
    return np.column_stack([log_odds[chosen], *by_itself, scene.gains[chosen]])


def compared(scene: Candidates, pixels: Pixels, log_odds: Array) -> list[tuple[Array, Array]]:
    """Return columns (K, C) and errors (K,) of the poses of each instance.

    Args:
        scene: candidates.
        pixels: that they explain.
        log_odds: (N,) of each candidate by itself.
    """
    every = groups(scene, pixels, log_odds)
    return [(columns_of(scene, rows, log_odds), scene.error[rows]) for rows in every]


def fit_turns(instances: Sequence[tuple[Array, Array]]) -> Array:
    """Fit the weights of the columns; every instance weighs the same.

    Args:
        instances: columns (K, C) and errors (K,) in diameters of the poses of each; those count
            that have right and wrong poses.

    Returns:
        Weights (C,).

    Raises:
        ValueError: no instance counts.
    """
    learned = [(c[keep], e[keep] < RIGHT) for c, e in instances for keep in [clear(e)]]
    told = [(columns, right) for columns, right in learned if right.any() and not right.all()]
    if not told:
        raise ValueError("no instance has both right and wrong poses; expected more scenes")
    scale = np.concatenate([columns for columns, _ in told]).std(0) + 1e-9
    scaled = [(columns / scale, right) for columns, right in told]

    def loss(b: Array) -> tuple[float, Array]:
        total, slope = PENALTY * len(told) * b @ b, 2 * PENALTY * len(told) * b
        for columns, right in scaled:
            strength = columns @ b
            odds = np.exp(strength - strength.max())
            share, hit = odds / odds.sum(), odds * right / (odds @ right)
            total -= np.log(share @ right)
            slope = slope + (share - hit) @ columns
        return float(total), slope

    weights: Array = minimize(loss, np.zeros(len(scale)), jac=True, method="L-BFGS-B").x / scale
    return weights
