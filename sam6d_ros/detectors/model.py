"""Detector around a runner: the common way from images to boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.detectors.labels import usable
from sam6d_ros.detectors.manifest import Manifest
from sam6d_ros.detectors.postprocess import to_boxes
from sam6d_ros.detectors.preprocess import prepare
from sam6d_ros.detectors.protocol import Runner
from sam6d_ros.errors import InvalidConfig
from sam6d_ros.types import Boxes

DEFAULT_THRESHOLD = 0.5  # lowest score that is returned
WARM_UP_SIZE_HW = (480, 640)  # for models that take any size


class ModelDetector:
    """Detector of one model, on any runner; see `protocol.Detector`.

    Args:
        manifest: input form, layout and labels of the model.
        runner: the model; closed with the detector.
        threshold: lowest score of a returned box, 0 to 1.

    Raises:
        InvalidConfig: the threshold is out of its range.
    """

    def __init__(
        self, manifest: Manifest, runner: Runner, threshold: float = DEFAULT_THRESHOLD
    ) -> None:
        if not 0 <= threshold <= 1:
            raise InvalidConfig(f"`threshold` is {threshold}; expected a number in [0, 1]")
        self.manifest = manifest
        self._runner = runner
        self._threshold = threshold

    @property
    def labels(self) -> tuple[str, ...]:
        """Names that `detect` may return."""
        return usable(self.manifest.labels)

    def detect(self, images_rgb: Sequence[NDArray[np.uint8]]) -> list[Boxes]:
        """Return the boxes of each image, best first; see `protocol.Detector.detect`."""
        prepared = [prepare(image, self.manifest.input) for image in images_rgb]
        outputs = self._runner.run([tensor for tensor, _ in prepared])
        return [
            to_boxes(result, self.manifest, placement, self._threshold)
            for result, (_, placement) in zip(outputs, prepared, strict=True)
        ]

    def warm_up(self) -> None:
        """Run the model once on a black image."""
        size = self.manifest.input.size_hw or WARM_UP_SIZE_HW
        self.detect([np.zeros((*size, 3), np.uint8)])

    def close(self) -> None:
        """Free the runner."""
        self._runner.close()


def batches(
    tensors: Sequence[NDArray[np.float32]], largest: int
) -> list[tuple[list[int], NDArray[np.float32]]]:
    """Return batches (B, 3, H, W) of tensors of one size with the places of their images.

    Args:
        tensors: (3, H, W) each.
        largest: number of images in a batch.
    """
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for place, tensor in enumerate(tensors):
        by_shape.setdefault(tensor.shape, []).append(place)
    return [
        (places[start : start + largest], np.stack([tensors[i] for i in places[start:][:largest]]))
        for places in by_shape.values()
        for start in range(0, len(places), largest)
    ]
