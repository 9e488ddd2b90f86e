"""Detector around a runner: the common way from images to boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.detectors.buffers import Buffers, FreshBuffers
from sam6d_ros.detectors.labels import usable
from sam6d_ros.detectors.manifest import Manifest
from sam6d_ros.detectors.postprocess import to_boxes
from sam6d_ros.detectors.preprocess import Placement, prepare, tensor_shape
from sam6d_ros.detectors.protocol import BatchRunner, Runner
from sam6d_ros.errors import InvalidConfig, InvalidInput, Sam6dError
from sam6d_ros.types import Boxes

DEFAULT_THRESHOLD = 0.5  # lowest score that is returned
WARM_UP_SIZE_HW = (480, 640)  # for models that take any size
PREPROCESS, INFERENCE, POSTPROCESS = "preprocess", "inference", "postprocess"

# Called with the name of a phase; its seconds are those inside the context.
Measure = Callable[[str], AbstractContextManager[object]]


def no_measure(_: str) -> AbstractContextManager[None]:
    """Measure nothing."""
    return nullcontext()


class ModelDetector:
    """Detector of one model, on any runner; see `protocol.Detector`.

    Args:
        manifest: input form, layout and labels of the model.
        runner: the model; closed with the detector.
        threshold: lowest score of a returned box, 0 to 1.
        buffers: memory of the input tensors (default: new for each call).

    Raises:
        InvalidConfig: the threshold is out of its range.
    """

    def __init__(
        self,
        manifest: Manifest,
        runner: Runner,
        threshold: float = DEFAULT_THRESHOLD,
        buffers: Buffers | None = None,
    ) -> None:
        check_threshold(threshold)
        self.manifest = manifest
        self._runner = runner
        self._threshold = threshold
        self._buffers = buffers or FreshBuffers()

    @property
    def labels(self) -> tuple[str, ...]:
        """Names that `detect` may return."""
        return usable(self.manifest.labels)

    @property
    def backend(self) -> str:
        """Library that the model runs on."""
        return self._runner.backend

    @property
    def max_batch(self) -> int:
        """Largest number of images that the model takes at once."""
        return self.manifest.max_batch

    def detect(self, images_rgb: Sequence[NDArray[np.uint8]]) -> list[Boxes]:
        """Return the boxes of each image, best first; see `protocol.Detector.detect`."""
        found = []
        for outcome in self.detect_each(images_rgb):
            if not isinstance(outcome, Boxes):
                raise outcome
            found.append(outcome)
        return found

    def detect_each(
        self,
        images_rgb: Sequence[NDArray[np.uint8]],
        thresholds: Sequence[float | None] | None = None,
        measure: Measure = no_measure,
    ) -> list[Boxes | Sam6dError]:
        """Return the boxes of each image, or the error of that image alone.

        Args:
            images_rgb: as for `detect`.
            thresholds: lowest score per image; None is that of the detector.
            measure: called with each phase that begins.

        Raises:
            InvalidInput, BackendUnavailable: the model failed on a batch.
        """
        limits = [
            self._threshold if limit is None else limit
            for limit in thresholds or [None] * len(images_rgb)
        ]
        found: dict[int, Boxes | Sam6dError] = {}
        for places in self._groups(images_rgb, found):
            found |= self._detect_group(places, images_rgb, limits, measure)
        return [found[place] for place in range(len(images_rgb))]

    def warm_up(self) -> None:
        """Run the model once on a black image."""
        size = self.manifest.input.size_hw or WARM_UP_SIZE_HW
        self.detect([np.zeros((*size, 3), np.uint8)])

    def close(self) -> None:
        """Free the runner."""
        self._runner.close()

    def _groups(
        self, images_rgb: Sequence[NDArray[np.uint8]], refused: dict[int, Boxes | Sam6dError]
    ) -> list[list[int]]:
        """Return the places of the images of each batch; the tensors of a batch have one size."""
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for place, image in enumerate(images_rgb):
            try:
                shape = tensor_shape(image, self.manifest.input)
            except Sam6dError as error:
                refused[place] = error
            else:
                by_shape.setdefault(shape, []).append(place)
        return [group for places in by_shape.values() for group in self._split(places)]

    def _split(self, places: list[int]) -> list[list[int]]:
        """Split a group at the batch limit of the runner, if it has one."""
        most = self._runner.max_batch if isinstance(self._runner, BatchRunner) else len(places)
        return [places[start : start + most] for start in range(0, len(places), most)]

    def _detect_group(
        self,
        places: list[int],
        images_rgb: Sequence[NDArray[np.uint8]],
        limits: Sequence[float],
        measure: Measure,
    ) -> dict[int, Boxes | Sam6dError]:
        spec = self.manifest.input
        shape = tensor_shape(images_rgb[places[0]], spec)
        # lent until the boxes are made: outputs of a model may be parts of its input
        with self._buffers.host((len(places), *shape)) as batch:
            with measure(PREPROCESS):
                placements = [
                    prepare(images_rgb[place], spec, row)[1]
                    for place, row in zip(places, batch, strict=True)
                ]
            with measure(INFERENCE), self._buffers.stream():
                outputs = self._infer(batch)
            with measure(POSTPROCESS):
                return {
                    place: self._boxes(row, placement, limits[place])
                    for place, row, placement in zip(places, outputs, placements, strict=True)
                }

    def _infer(self, batch: NDArray[np.float32]) -> list[tuple[NDArray, ...]]:
        if isinstance(self._runner, BatchRunner):
            return rows_of(self._runner.infer(batch), len(batch))
        return self._runner.run(list(batch))

    def _boxes(
        self, outputs: Sequence[NDArray], placement: Placement, threshold: float
    ) -> Boxes | Sam6dError:
        try:
            return to_boxes(outputs, self.manifest, placement, threshold)
        except Sam6dError as error:
            return error


def check_threshold(threshold: float) -> None:
    """Refuse a threshold that is no score.

    Raises:
        InvalidConfig: it is not in [0, 1].
    """
    if not 0 <= threshold <= 1:
        raise InvalidConfig(f"`threshold` is {threshold}; expected a number in [0, 1]")


def rows_of(arrays: Sequence[NDArray], count: int) -> list[tuple[NDArray, ...]]:
    """Return the outputs of each of `count` images of a batch, without the batch axis.

    Raises:
        InvalidInput: an output has another length.
    """
    shapes = [array.shape for array in arrays]
    if any(shape[:1] != (count,) for shape in shapes):
        raise InvalidInput(
            f"outputs are {shapes} for a batch of {count}; expected {count} rows each"
        )
    return [tuple(array[row] for array in arrays) for row in range(count)]


def run_in_batches(
    runner: BatchRunner, tensors: Sequence[NDArray[np.float32]]
) -> list[tuple[NDArray, ...]]:
    """Return the outputs of each tensor, inferred in batches; see `protocol.Runner.run`."""
    results: dict[int, tuple[NDArray, ...]] = {}
    for places, batch in batches(tensors, runner.max_batch):
        results |= zip(places, rows_of(runner.infer(batch), len(places)), strict=True)
    return [results[place] for place in range(len(tensors))]


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
