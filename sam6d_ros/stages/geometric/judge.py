"""Judge of poses: a logistic regression on the features of a pose (Platt, 1999)."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.stages.geometric.features import FEATURES, Features

Array = NDArray[np.float64]

MAX_LOGIT = 9.0  # no probability is nearer to 0 or 1 than training can show
# Slope of the log odds that one of the poses of an instance is right, in the last stage. Chosen on
# 23 own path-traced scenes: calibration error 0.063 to 0.049, order and recall stay.
LAST_SLOPE = 1.4


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


@functools.cache
def shipped_judge() -> Judge:
    """Return the judge that ships with the package."""
    return read_judge(resources.files(__package__).joinpath("judge.json").read_text())


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


def exclusive(probability: Array) -> Array:
    """Return the probabilities (N,) of explanations of which one at most is right.

    Each is given as if it were the only one; odds of all compete (Bayes' rule).

    Args:
        probability: (N,) in [0, 1].
    """
    odds = probability / np.maximum(1 - probability, 1e-6)
    total: Array = odds / (1 + odds.sum())
    return total


def calibrated(any_right: float) -> float:
    """Return the probability that one of the poses of an instance is right, after refinement.

    The judge is too cautious about refined poses: its log odds are stretched by LAST_SLOPE.

    Args:
        any_right: sum of :func:`exclusive`, in [0, 1].
    """
    inside = float(np.clip(any_right, 1e-6, 1 - 1e-6))
    logit = LAST_SLOPE * float(np.log(inside / (1 - inside)))
    return float(1 / (1 + np.exp(-np.clip(logit, -MAX_LOGIT, MAX_LOGIT))))
