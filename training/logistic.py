"""Weighted logistic regression with an L2 penalty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import Bounds, minimize
from scipy.special import expit

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Logistic:
    """p = 1 / (1 + exp(−(weights · (x − mean) / scale + constant))).

    Attributes:
        mean, scale, weights: (F,) one per feature.
        constant: the log odds at the mean.
    """

    mean: Array
    scale: Array
    weights: Array
    constant: float

    def logit(self, values: Array) -> Array:
        """Return the (N,) log odds of (N, F) values."""
        return (values - self.mean) / self.scale @ self.weights + self.constant

    def probability(self, values: Array) -> Array:
        """Return the (N,) probabilities of (N, F) values."""
        out: Array = expit(self.logit(values))
        return out

    def rescaled(self, slope: float, offset: float) -> Logistic:
        """Return the model with the log odds slope · logit + offset."""
        return Logistic(self.mean, self.scale, slope * self.weights, slope * self.constant + offset)


def bounds_of(signs: ArrayLike) -> Bounds:
    """Return the bounds of weights with signs 1 or -1, 0 for any, and of the constant."""
    sign = np.append(np.asarray(signs, np.float64), 0.0)
    return Bounds(np.where(sign > 0, 0.0, -np.inf), np.where(sign < 0, 0.0, np.inf))


def fit_logistic(
    values: Array,
    right: ArrayLike,
    weight: ArrayLike,
    strength: float = 0.3,
    signs: ArrayLike | None = None,
) -> Logistic:
    """Fit on standardized features.

    Args:
        values: (N, F).
        right: (N,) bool.
        weight: (N,) of the examples; their sum counts as that many examples.
        strength: inverse of the penalty of squared weights (C of LIBLINEAR).
        signs: (F,) of the weights, 1 or -1, 0 for any; a weight that contradicts it becomes 0.

    Returns:
        The model in units of the unscaled features.
    """
    y, w = np.asarray(right, np.float64), np.asarray(weight, np.float64)
    mean = np.average(values, axis=0, weights=w)
    scale = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=w)) + 1e-6
    z = np.column_stack([(values - mean) / scale, np.ones(len(values))])
    penalty = np.append(np.full(values.shape[1], 1 / strength), 0.0)

    def loss(b: Array) -> tuple[float, Array]:
        logit = z @ b
        value = w @ (np.logaddexp(0, logit) - y * logit) + 0.5 * (penalty * b) @ b
        return float(value), z.T @ (w * (expit(logit) - y)) + penalty * b

    bounds = bounds_of(np.zeros(z.shape[1] - 1) if signs is None else signs)
    found = minimize(loss, np.zeros(z.shape[1]), jac=True, method="L-BFGS-B", bounds=bounds).x
    return Logistic(mean, scale, found[:-1], float(found[-1]))
