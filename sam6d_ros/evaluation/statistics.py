"""Statistics of scored, right-or-wrong answers: Wilson interval, average precision, calibration."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

Z_95 = 1.959964  # of a two-sided 95 % interval


@dataclass(frozen=True)
class Rate:
    """A share with its 95 % Wilson interval (Wilson, 1927).

    Attributes:
        count, total: so many of so many.
    """

    count: int
    total: int

    @property
    def value(self) -> float:
        """The share; NaN of nothing."""
        return self.count / self.total if self.total else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper end of the interval; (0, 1) of nothing."""
        n = self.total
        if n == 0:
            return 0.0, 1.0
        p, z2 = self.value, Z_95**2
        centre = (p + z2 / (2 * n)) / (1 + z2 / n)
        half = Z_95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
        return max(0.0, centre - half), min(1.0, centre + half)


def average_precision(scores: ArrayLike, right: ArrayLike, positives: int) -> float:
    """Return the area under the precision envelope over the recall, at all points.

    Args:
        scores: (N,) of the answers.
        right: (N,) bool.
        positives: number of things to be found; more than right answers are missed.

    Returns:
        The area in [0, 1]; NaN if there is nothing to find.
    """
    if positives == 0:
        return math.nan
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    hits = np.asarray(right, bool)[order]
    found = np.cumsum(hits)
    precision = found / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(np.concatenate([[0], found])) / positives
    return float((steps * envelope).sum())


def calibration_error(scores: ArrayLike, right: ArrayLike, bins: int = 10) -> float:
    """Return the expected calibration error (Naeini et al., 2015) over bins of equal width.

    Args:
        scores: (N,) in [0, 1], taken as probabilities.
        right: (N,) bool.
        bins: number of bins.

    Returns:
        Mean over the answers of |mean score − share of right ones| of their bin; NaN of nothing.
    """
    p, y = np.asarray(scores, np.float64), np.asarray(right, np.float64)
    if not len(p):
        return math.nan
    index = np.minimum((p * bins).astype(int), bins - 1)
    count = np.bincount(index, minlength=bins)
    gap = np.abs(np.bincount(index, p, bins) - np.bincount(index, y, bins))
    return float(gap[count > 0].sum() / len(p))
