"""Reliability diagram and risk–coverage curve of scored answers, as values and as one picture.

The diagram (Murphy and Winkler, 1977) shows the share of right answers over the score, in bins of
equal width. The risk is the share of wrong ones among the answers that score best (El-Yaniv and
Wiener, 2010).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from sam6d_ros.evaluation.statistics import Rate

Image = NDArray[np.uint8]
BINS = 10
SIDE, MARGIN = 420, 70  # pixels of a panel and of its frame
WHITE, BLACK, GREY, BLUE, RED = (
    (255, 255, 255), (30, 30, 30), (205, 205, 205), (60, 110, 190), (190, 60, 50),
)  # fmt: skip


@dataclass(frozen=True)
class Bin:
    """Answers whose scores lie in one interval.

    Attributes:
        low, high: of the interval.
        mean_score: of the answers.
        rate: right ones of all.
    """

    low: float
    high: float
    mean_score: float
    rate: Rate


def reliability_bins(scores: ArrayLike, right: ArrayLike, bins: int = BINS) -> list[Bin]:
    """Return the bins of equal width that have answers."""
    p, y = np.asarray(scores, np.float64), np.asarray(right, bool)
    index = np.minimum((p * bins).astype(int), bins - 1)
    return [
        Bin(k / bins, (k + 1) / bins, float(p[index == k].mean()), _rate(y[index == k]))
        for k in np.unique(index).tolist()
    ]


def risk_coverage(scores: ArrayLike, right: ArrayLike) -> tuple[NDArray, NDArray]:
    """Return coverage and risk, (N,) each, of the n best answers for n = 1 … N."""
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    wrong = ~np.asarray(right, bool)[order]
    count = np.arange(1, len(wrong) + 1)
    return count / max(1, len(wrong)), np.cumsum(wrong) / count


def picture(scores: Sequence[float], right: Sequence[bool]) -> Image:
    """Return both diagrams beside each other, (H, W, 3) RGB."""
    return np.concatenate([_reliability_panel(scores, right), _risk_panel(scores, right)], axis=1)


def _rate(right: NDArray[np.bool_]) -> Rate:
    return Rate(int(right.sum()), len(right))


def _reliability_panel(scores: Sequence[float], right: Sequence[bool]) -> Image:
    panel = _panel("score", "share of right poses", f"{len(scores)} poses")
    _line(panel, [(0, 0), (1, 1)], GREY)
    for item in reliability_bins(scores, right):
        low, high = item.rate.interval
        _line(panel, [(item.mean_score, low), (item.mean_score, high)], BLUE)
        cv2.circle(panel, _at(item.mean_score, item.rate.value), 5, BLUE, -1, cv2.LINE_AA)
        x, y = _at(item.mean_score, low)
        _text(panel, str(item.rate.total), (x + 6, y - 2), 0.4, GREY)
    return panel


def _risk_panel(scores: Sequence[float], right: Sequence[bool]) -> Image:
    panel = _panel("coverage: share of the poses returned", "risk: share of wrong ones", "")
    coverage, risk = risk_coverage(scores, right)
    _line(panel, list(zip(coverage.tolist(), risk.tolist(), strict=True)), RED)
    kept = int((np.asarray(scores, np.float64) >= 0.5).sum())
    if kept:
        cv2.circle(panel, _at(coverage[kept - 1], risk[kept - 1]), 6, BLACK, 2, cv2.LINE_AA)
        x, y = _at(coverage[kept - 1], risk[kept - 1])
        _text(panel, "score 0.5", (x - 70, y - 12), 0.45, BLACK)
    return panel


def _panel(across: str, up: str, note: str) -> Image:
    """Return an empty panel with axes from 0 to 1."""
    size = SIDE + 2 * MARGIN
    panel = np.full((size, size, 3), WHITE, np.uint8)
    for k in range(0, 11, 2):
        _line(panel, [(k / 10, 0), (k / 10, 1)], (238, 238, 238), 1)
        _line(panel, [(0, k / 10), (1, k / 10)], (238, 238, 238), 1)
        (x, _), (_, y) = _at(k / 10, 0), _at(0, k / 10)
        _text(panel, f"{k / 10:g}", (x - 8, MARGIN + SIDE + 18), 0.42, BLACK)
        _text(panel, f"{k / 10:g}", (MARGIN - 30, y + 4), 0.42, BLACK)
    cv2.rectangle(panel, _at(0, 1), _at(1, 0), BLACK, 1)
    _text(panel, across, (MARGIN, size - 28), 0.5, BLACK)
    _text(panel, up, (MARGIN, MARGIN - 12), 0.5, BLACK)
    _text(panel, note, (MARGIN + SIDE - 90, MARGIN - 12), 0.45, BLACK)
    return panel


def _at(x: float, y: float) -> tuple[int, int]:
    return round(MARGIN + x * SIDE), round(MARGIN + (1 - y) * SIDE)


def _line(
    panel: Image, points: Sequence[tuple[float, float]], color: tuple[int, ...], width: int = 2
) -> None:
    at = np.array([_at(x, y) for x, y in points], np.int32)
    cv2.polylines(panel, [at], False, color, width, cv2.LINE_AA)


def _text(
    panel: Image, text: str, at: tuple[int, int], size: float, color: tuple[int, ...]
) -> None:
    cv2.putText(panel, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, color, 1, cv2.LINE_AA)
