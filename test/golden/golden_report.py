"""Comparison of one array with its golden twin, and the table that is printed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Row:
    """One compared array: largest error against its tolerance (0 = exact)."""

    file: str
    array: str
    error: float
    tolerance: float
    note: str = ""

    @property
    def passed(self) -> bool:
        return self.error <= self.tolerance  # NaN fails

    def __str__(self) -> str:
        verdict = "ok  " if self.passed else "FAIL"
        limit = "exact" if self.tolerance == 0 else f"{self.tolerance:.0e}"
        name = f"{self.file:30s} {self.array:28s}"
        return f"{verdict} {name} {self.error:9.2e}  ≤ {limit:6s} {self.note}"


@dataclass
class Report:
    """Collects rows; prints each as it comes when ``loud``."""

    loud: bool = True
    rows: list[Row] = field(default_factory=list)

    def add(self, file: str, array: str, error: float, tolerance: float, note: str = "") -> None:
        """Record one comparison."""
        row = Row(file, array, float(error), tolerance, note)
        self.rows.append(row)
        if self.loud:
            print(row, flush=True)

    def compare(
        self, file: str, array: str, ours: object, golden: object, tolerance: float, note: str = ""
    ) -> None:
        """Compare two arrays; ``tolerance`` 0 asks for equality."""
        self.add(file, array, max_error(ours, golden), tolerance, note)

    @property
    def failures(self) -> list[Row]:
        return [row for row in self.rows if not row.passed]


def to_numpy(value: object) -> np.ndarray:
    """A tensor or anything array-like as a numpy array."""
    detach = getattr(value, "detach", None)
    return np.asarray(detach().cpu().numpy() if detach else value)


def max_error(ours: object, golden: object) -> float:
    """Largest absolute difference; infinite when the shapes disagree."""
    a, b = to_numpy(ours), to_numpy(golden)
    if a.shape != b.shape:
        return float("inf")
    if a.size == 0:
        return 0.0
    return float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max())
