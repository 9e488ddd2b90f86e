"""Fit of the judge: candidates that explain the same pixels compete, at most one of them is right.

Right is an error below 0.10 diameters, wrong one above 0.15; candidates between are not learned
from. Every scene weighs the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from training import objects
from training.decision import Pixels, groups, instances, standing
from training.files import Candidates
from training.labels import RIGHT, clear
from training.logistic import Logistic, bounds_of, fit_logistic
from training.scenes import KINDS

Array = NDArray[np.float64]
STRENGTH = 0.3  # C of the fit
SCENE_WEIGHT = 100.0  # examples that a scene counts for
ROUNDS = 2  # the groups depend on the judge that orders the candidates
MAX_LOGIT = 30.0
SIGNS = {  # of the weights, by meaning; a feature that is not named may have any
    **dict.fromkeys(("fit", "fit_fine", "fit_tight", "visible", "rim", "rim_contrast"), 1),
    **dict.fromkeys(("crease", "color", "texture", "normal_spread", "size", "log_quality"), 1),
    **dict.fromkeys(("inner", "see_through", "far_behind", "covered", "unmeasured"), -1),
    "residual": -1,
    "registration": -1,  # the same rim is worth less in a frame that is well registered
}


@dataclass(frozen=True)
class Scenes:
    """Scenes with the pixels of their candidates.

    Attributes:
        candidates: one entry per scene.
        pixels: of each.
        features: names of the features that are used.
    """

    candidates: Sequence[Candidates]
    pixels: Sequence[Pixels]
    features: tuple[str, ...]

    @classmethod
    def of(cls, candidates: Sequence[Candidates], features: Sequence[str]) -> Scenes:
        """Prepare scenes."""
        return cls(candidates, [Pixels(scene) for scene in candidates], tuple(features))

    def take(self, index: Sequence[int]) -> Scenes:
        """Return some of the scenes."""
        chosen = [self.candidates[i] for i in index]
        return Scenes(chosen, [self.pixels[i] for i in index], self.features)

    def using(self, features: Sequence[str]) -> Scenes:
        """Return the scenes with other features."""
        return Scenes(self.candidates, self.pixels, tuple(features))

    @property
    def signs(self) -> list[int]:
        """Signs of the weights."""
        return [SIGNS.get(name, 0) for name in self.features]

    def tables(self) -> list[Array]:
        """Return the (N, F) values of each scene."""
        return [
            np.stack([scene.column(name) for name in self.features], 1) for scene in self.candidates
        ]


def fit_single(scenes: Scenes) -> Logistic:
    """Fit each candidate by itself."""
    learned = [clear(scene.error) for scene in scenes.candidates]
    values = [table[keep] for table, keep in zip(scenes.tables(), learned, strict=True)]
    right = [s.error[keep] < RIGHT for s, keep in zip(scenes.candidates, learned, strict=True)]
    weight = [np.full(len(label), SCENE_WEIGHT / max(1, len(label))) for label in right]
    return fit_logistic(
        np.concatenate(values), np.concatenate(right), np.concatenate(weight), STRENGTH,
        scenes.signs,
    )  # fmt: skip


def fit(scenes: Scenes) -> Logistic:
    """Fit by the likelihood of the right candidate, or none, of each group."""
    model = fit_single(scenes)
    for _ in range(ROUNDS):
        model = _fit_groups(scenes, model)
    return model


def _fit_groups(scenes: Scenes, start: Logistic) -> Logistic:
    values, right, group, weight = _grouped(scenes, start)
    z = np.column_stack([(values - start.mean) / start.scale, np.ones(len(values))])
    penalty = np.append(np.full(values.shape[1], 1 / STRENGTH), 0.0)
    count = len(weight)

    def loss(b: Array) -> tuple[float, Array]:
        odds = np.exp(np.clip(z @ b, -MAX_LOGIT, MAX_LOGIT))
        total = 1 + np.bincount(group, odds, count)
        hit = np.bincount(group, odds * right, count)
        any_right = hit > 0
        hit = np.where(any_right, hit, 1.0)  # "none is right" has odds 1
        slope = weight[group] * odds * (1 / total[group] - right / hit[group])
        value = weight @ np.log(total / hit) + 0.5 * (penalty * b) @ b
        return float(value), z.T @ slope + penalty * b

    first = np.append(start.weights, start.constant)
    bounds = bounds_of(scenes.signs)
    found = minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds).x
    return Logistic(start.mean, start.scale, found[:-1], float(found[-1]))


def _grouped(
    scenes: Scenes, model: Logistic
) -> tuple[Array, NDArray[np.bool_], NDArray[np.int64], Array]:
    """Return values, labels and group of the candidates in all groups, and the groups' weights."""
    values, right, group = [], [], []
    weight: list[float] = []
    for scene, pixels, table in zip(scenes.candidates, scenes.pixels, scenes.tables(), strict=True):
        learned = clear(scene.error)
        found = groups(scene, pixels, model.probability(table))
        found = [kept for rows in found if (kept := [row for row in rows if learned[row]])]
        for rows in found:
            values.append(table[rows])
            right.append(scene.error[rows] < RIGHT)
            group.append(np.full(len(rows), len(weight)))
            weight.append(SCENE_WEIGHT / len(found))
    return np.concatenate(values), np.concatenate(right), np.concatenate(group), np.array(weight)


def scaling(scenes: Scenes, models: Sequence[Logistic]) -> tuple[float, float]:
    """Return slope and offset of the log odds with which the standing poses are calibrated.

    After Platt (1999).

    Args:
        scenes: for the fit of the scale.
        models: for each scene, one that was not fitted on it.
    """
    tables = scenes.tables()
    alone = [m.probability(table) for m, table in zip(models, tables, strict=True)]
    every = zip(scenes.candidates, scenes.pixels, alone, strict=True)
    found = standing(scenes.candidates, scenes.pixels, [instances(*scene) for scene in every])
    logits = np.full((len(found.right), 8), -MAX_LOGIT * 10)
    for k, (index, row) in enumerate(zip(found.scene, found.row, strict=True)):
        scene, pixels = scenes.candidates[index], scenes.pixels[index]
        rows = next(g for g in groups(scene, pixels, alone[index]) if g[0] == row)
        logits[k, : len(rows)] = models[index].logit(tables[index][rows])
    weight = 1 / np.bincount(found.scene, minlength=len(tables))[found.scene]

    def loss(ab: Array) -> float:
        odds = np.exp(np.clip(ab[0] * logits + ab[1], -MAX_LOGIT, MAX_LOGIT))
        odds[logits < -MAX_LOGIT] = 0.0
        p = odds[:, 0] / (1 + odds.sum(1))
        value = weight @ -np.log(np.where(found.right, p, 1 - p))
        return float(value)

    slope, offset = minimize(loss, np.array([1.0, 0.0]), method="BFGS").x
    return float(slope), float(offset)


def left_out(scenes: Scenes) -> list[Logistic]:
    """Return for each scene a model that was fitted on scenes of other catalogues of objects."""
    catalogues = [catalogue(scene) for scene in scenes.candidates]
    models = {
        left: fit(scenes.take([i for i, other in enumerate(catalogues) if other != left]))
        for left in sorted(set(catalogues))
    }
    return [models[left] for left in catalogues]


def catalogue(scene: Candidates) -> str:
    """Return the group of a scene's objects (``training.objects``), or its data set if traced."""
    if scene.domain not in KINDS:
        return scene.domain
    return str(objects.parse(str(scene.name[0])).number // 100)
