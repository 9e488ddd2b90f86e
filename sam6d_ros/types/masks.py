"""Masks of instances: boxes and checks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.errors import InvalidInput
from sam6d_ros.types.frame import Frame


class Masked(Protocol):
    """Instance with a mask, or None."""

    @property
    def instance_id(self) -> str:
        """Name of the physical object."""

    @property
    def mask(self) -> NDArray[np.bool_] | None:
        """(H, W) bool, pixels of the instance, or None."""


def mask_box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return the tight box (x, y, width, height) of an (H, W) mask; zeros if it is empty.

    Args:
        mask: (H, W) bool.
    """
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if rows.size == 0:
        return (0, 0, 0, 0)
    size = (int(cols[-1] - cols[0] + 1), int(rows[-1] - rows[0] + 1))
    return (int(cols[0]), int(rows[0]), *size)


def check_mask(mask: NDArray[np.bool_], name: str) -> None:
    """Refuse an array that is no mask.

    Args:
        mask: the array.
        name: class or id of the instance, for the message.

    Raises:
        InvalidInput: the array has another shape or type.
    """
    if mask.ndim != 2 or mask.dtype != bool:
        raise InvalidInput(f"mask of {name!r} is {mask.shape} {mask.dtype}; expected (H, W) bool")


def check_mask_sizes(items: Iterable[Masked], frame: Frame) -> None:
    """Refuse masks of another image.

    Args:
        items: detections or poses with a mask, or None.
        frame: the image.

    Raises:
        InvalidInput: a mask has not the frame's size.
    """
    expected = frame.depth.shape
    for item in items:
        if item.mask is not None and item.mask.shape != expected:
            raise InvalidInput(
                f"mask of {item.instance_id!r} is {item.mask.shape}, the frame {expected} "
                "(height, width); give masks of this frame"
            )
