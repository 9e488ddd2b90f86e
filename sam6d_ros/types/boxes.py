"""Boxes of a 2D detector."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class Boxes:
    """Boxes of one image, as a 2D detector returns them.

    Attributes:
        xyxy: (N, 4) float32, pixels: left, top, right, bottom edge; 0 is the outer edge of the
            first pixel, so that a box of the whole image is (0, 0, width, height).
        labels: N class names.
        scores: (N,) float32 in [0, 1].
        masks: (N, H, W) bool, the pixels of each instance, or None.
        stamp_ns: time of capture of the image in nanoseconds.
        classes: class names that the detector can report, or None where they are unknown.

    Raises:
        InvalidInput: lengths, shapes or types disagree, or a value is out of its range.
    """

    xyxy: NDArray[np.float32]
    labels: tuple[str, ...]
    scores: NDArray[np.float32]
    masks: NDArray[np.bool_] | None = None
    stamp_ns: int = 0
    classes: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        count = len(self.labels)
        if self.xyxy.shape != (count, 4) or self.scores.shape != (count,):
            raise InvalidInput(
                f"boxes are {self.xyxy.shape} and scores {self.scores.shape} for {count} labels; "
                f"expected ({count}, 4) and ({count},)"
            )
        if self.xyxy.dtype != np.float32 or self.scores.dtype != np.float32:
            raise InvalidInput(
                f"boxes are {self.xyxy.dtype} and scores {self.scores.dtype}; expected float32"
            )
        if not np.isfinite(self.xyxy).all():
            raise InvalidInput("a box has NaN or infinite edges")
        turned = (self.xyxy[:, 2:] < self.xyxy[:, :2]).any(axis=1)
        if turned.any():
            raise InvalidInput(
                f"box {self.xyxy[turned][0].tolist()} ends before it begins; "
                "expected (left, top, right, bottom)"
            )
        if not ((self.scores >= 0) & (self.scores <= 1)).all():
            raise InvalidInput(f"scores {self.scores.tolist()} are not all in [0, 1]")
        masks = self.masks
        if masks is not None and (masks.ndim != 3 or len(masks) != count or masks.dtype != bool):
            raise InvalidInput(f"masks are {masks.shape} {masks.dtype}; expected ({count}, H, W)")

    @classmethod
    def empty(cls, stamp_ns: int = 0) -> Boxes:
        """Return no box.

        Args:
            stamp_ns: stamp of the image, nanoseconds.
        """
        return cls(np.zeros((0, 4), np.float32), (), np.zeros(0, np.float32), None, stamp_ns)

    def from_score(self, lowest: float) -> Boxes:
        """Return the boxes of this score and above.

        Args:
            lowest: score in [0, 1].
        """
        kept = self.scores >= np.float32(lowest)
        return replace(
            self,
            xyxy=self.xyxy[kept],
            labels=tuple(itertools.compress(self.labels, kept)),
            scores=self.scores[kept],
            masks=None if self.masks is None else self.masks[kept],
        )

    def __len__(self) -> int:
        return len(self.labels)
