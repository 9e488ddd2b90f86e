"""Figures of a judge by domain, as rows of a Markdown table: at the default threshold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.evaluation.reliability import picture
from sam6d_ros.evaluation.statistics import Rate
from training.decision import Standing

THRESHOLD = 0.5  # default of the backend
HEADER = (
    "| domain | scenes | recall | precision | AP | calibration error | poses |\n"
    "|---|---:|---|---|---:|---:|---:|"
)


def row(name: str, count: int, found: Standing) -> str:
    """Return the row of the poses that stand in a number of scenes."""
    recall, precision = found.at(THRESHOLD)
    cells = [
        name,
        str(count),
        rate_text(recall),
        rate_text(precision),
        f"{found.average_precision:.3f}",
        f"{found.calibration_error:.3f}",
        str(len(found.right)),
    ]
    return f"| {' | '.join(cells)} |"


def diagram(found: Sequence[Standing]) -> NDArray[np.uint8]:
    """Return the picture of reliability and risk over all poses that stand."""
    return picture(
        np.concatenate([part.probability for part in found]).tolist(),
        np.concatenate([part.right for part in found]).tolist(),
    )


def rate_text(rate: Rate) -> str:
    """Return a share with its count and its 95 % interval."""
    low, high = rate.interval
    return f"{rate.count}/{rate.total} = {rate.value:.2f} [{low:.2f}, {high:.2f}]"
