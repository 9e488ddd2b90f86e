"""Protocol of a 2D detector, and of the part that differs between the backends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.types import Boxes


class Detector(Protocol):
    """2D detector of named things in colour images."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names that `detect` may return."""

    def detect(self, images_rgb: Sequence[NDArray[np.uint8]]) -> list[Boxes]:
        """Return the boxes of each image.

        Args:
            images_rgb: (H, W, 3) uint8 each, RGB; sizes may differ.

        Raises:
            InvalidInput: an image of another shape or type.
            BackendUnavailable: the model or its server cannot answer.
        """

    def warm_up(self) -> None:
        """Run the model once, so that the first image takes no longer than the next."""

    def close(self) -> None:
        """Free the model, or the connection to its server; a second call has no effect."""


class Runner(Protocol):
    """Model that maps input tensors to output tensors; the only part that a backend writes.

    Attributes:
        backend: name of the library that it runs on.
    """

    backend: str

    def run(self, tensors: Sequence[NDArray[np.float32]]) -> list[tuple[NDArray, ...]]:
        """Return the output tensors of each input.

        Args:
            tensors: (3, H, W) float32 each, as `preprocess.prepare` makes them.

        Returns:
            For each input the model's outputs in order, without the batch axis.
        """

    def close(self) -> None:
        """Free what the runner holds; a second call has no effect."""


@runtime_checkable
class BatchRunner(Runner, Protocol):
    """Runner that takes whole batches without a copy of its own.

    Attributes:
        max_batch: largest number of images in one call of `infer`.
    """

    max_batch: int

    def infer(self, batch: NDArray[np.float32]) -> Sequence[NDArray]:
        """Return the model's outputs, with the batch axis, for a batch (B, 3, H, W) of float32."""
