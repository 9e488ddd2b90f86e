"""Judges: logistic regressions (Platt, 1999) on features of a pose, and of an instance."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.stages.geometric.features import FEATURES, Features
from sam6d_ros.stages.geometric.paired import COLUMNS
from sam6d_ros.stages.geometric.surroundings import SURROUNDINGS

Array = NDArray[np.float64]

MAX_LOGIT = 9.0  # no probability is nearer to 0 or 1 than training can show


@dataclass(frozen=True)
class Judge:
    """Weights of the logistic regression.

    Attributes:
        mean, scale: (F,) of the features in training; a feature that is not used has scale 1.
        weights: (F,) of the standardized features, 0 for one that is not used.
        bias: logit of a pose whose features are all at the mean.
    """

    mean: Array
    scale: Array
    weights: Array
    bias: float

    def probability(self, features: Array) -> Array:
        """Return the probability (N,) that each pose is right.

        Right is an error (ADD; ADD-S for symmetric objects) below 10 % of the diameter.

        Args:
            features: (N, len(FEATURES)) float64.
        """
        logit = self.log_odds(features)
        return 1 / (1 + np.exp(-np.clip(logit, -MAX_LOGIT, MAX_LOGIT)))

    def log_odds(self, features: Array) -> Array:
        """Return the logarithm of the odds (N,) that each pose is right.

        Args:
            features: (N, len(FEATURES)) float64.
        """
        odds: Array = ((features - self.mean) / self.scale) @ self.weights + self.bias
        return odds

    def log_odds_of(self, features: Features) -> Array:
        """Return the log odds (N,) of poses.

        Args:
            features: of N poses.
        """
        return self.log_odds(features.values)


@dataclass(frozen=True)
class InstanceJudge:
    """Weights of the logistic regression on the surroundings of an instance.

    Attributes:
        low, high: (F,) range of each feature in training; values beyond it count as its ends.
        weights: (F,) of the features.
        bias: log odds of an instance whose features are all 0.
    """

    low: Array
    high: Array
    weights: Array
    bias: float

    def probability(self, surroundings: Array) -> Array:
        """Return the probability (N,) that one of the poses of each instance is right.

        Args:
            surroundings: (N, len(SURROUNDINGS)) float64.
        """
        logit = np.clip(surroundings, self.low, self.high) @ self.weights + self.bias
        return 1 / (1 + np.exp(-np.clip(logit, -MAX_LOGIT, MAX_LOGIT)))


@functools.cache
def shipped_judge() -> Judge:
    """Return the judge that ships with the package."""
    return read_judge(_shipped())


@functools.cache
def shipped_instance_judge() -> InstanceJudge:
    """Return the judge of instances that ships with the package."""
    return read_instance_judge(_shipped())


@functools.cache
def shipped_turn_weights() -> Array:
    """Return the weights (len(paired.COLUMNS),) of the shares of an instance's poses."""
    stated = json.loads(_shipped())["turns"]
    return np.array([stated["weights"][stated["columns"].index(name)] for name in COLUMNS])


def _shipped() -> str:
    return resources.files(__package__).joinpath("judge.json").read_text()


def read_judge(text: str) -> Judge:
    """Read a judge from JSON with ``features``, ``mean``, ``scale``, ``weights`` and ``bias``.

    Args:
        text: JSON.

    Returns:
        The judge.
    """
    stated = json.loads(text)
    count = len(FEATURES)
    mean, scale, weights = np.zeros(count), np.ones(count), np.zeros(count)
    at = [FEATURES.index(name) for name in stated["features"]]
    mean[at], scale[at], weights[at] = stated["mean"], stated["scale"], stated["weights"]
    return Judge(mean, scale, weights, float(stated["bias"]))


def read_instance_judge(text: str) -> InstanceJudge:
    """Read a judge of instances from JSON: ``instances`` with ``features`` and their weights.

    Args:
        text: JSON.

    Returns:
        The judge.
    """
    stated = json.loads(text)["instances"]
    at = [stated["features"].index(name) for name in SURROUNDINGS]
    low, high, weights = (np.array(stated[key])[at] for key in ("low", "high", "weights"))
    return InstanceJudge(low, high, weights, float(stated["bias"]))


def exclusive(probability: Array) -> Array:
    """Return the probabilities (N,) of explanations of which one at most is right.

    Each is given as if it were the only one; odds of all compete (Bayes' rule).

    Args:
        probability: (N,) in [0, 1].
    """
    odds = probability / np.maximum(1 - probability, 1e-6)
    total: Array = odds / (1 + odds.sum())
    return total
