"""A rectangle of pixels in an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidInput


@dataclass(frozen=True)
class Region:
    """Columns x … x + width - 1 and rows y … y + height - 1 of an image.

    Raises:
        InvalidInput: it is empty or begins outside every image.
    """

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0 or self.x < 0 or self.y < 0:
            raise InvalidInput(
                f"{self} is no region of an image; expected a positive width and height and a "
                "corner that is not negative"
            )

    def __str__(self) -> str:
        return f"region {self.width}×{self.height} at ({self.x}, {self.y})"

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an image."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)

    def check_inside(self, shape: tuple[int, ...]) -> None:
        """Refuse a region that reaches beyond an image.

        Args:
            shape: (height, width, …) of the image, pixels.

        Raises:
            InvalidInput: it does not.
        """
        height, width = shape[:2]
        if self.x + self.width > width or self.y + self.height > height:
            raise InvalidInput(
                f"{self} reaches beyond the image of {width}×{height}; "
                "give pixels of the colour image"
            )

    def grown(self, share: float) -> Region:
        """Return the region enlarged on every side, cut at the origin of the image.

        Args:
            share: margin by the longer side.

        Returns:
            The larger region; it may reach beyond the right and lower border of the image.
        """
        margin = round(share * max(self.width, self.height))
        left, top = max(0, self.x - margin), max(0, self.y - margin)
        right, bottom = self.x + self.width + margin, self.y + self.height + margin
        return Region(left, top, right - left, bottom - top)

    def share_of(self, mask: NDArray[np.bool_]) -> float:
        """Return the share of a mask (H, W) inside the region, in [0, 1]; 0 for an empty mask.

        Args:
            mask: (H, W) bool, of the whole image.
        """
        total = int(mask.sum())
        return float(mask[self.slices].sum() / total) if total else 0.0
