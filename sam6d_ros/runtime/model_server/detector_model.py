"""Detectors as models of a model server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.detectors.draw import draw_boxes
from sam6d_ros.detectors.model import INFERENCE
from sam6d_ros.detectors.protocol import Detector
from sam6d_ros.detectors.table import open_detector
from sam6d_ros.runtime.model_server.buffers import ModelBuffers
from sam6d_ros.runtime.model_server.frame_model import (
    FrameAnswer,
    FrameInput,
    FrameModel,
    Image,
    Measure,
)
from sam6d_ros.runtime.model_server.spec import ModelSpec
from sam6d_ros.types import Boxes


@runtime_checkable
class PhasedDetector(Detector, Protocol):
    """Detector with errors per image and measured phases, as `detectors.model.ModelDetector`."""

    @property
    def backend(self) -> str:
        """Library that it runs on."""

    @property
    def max_batch(self) -> int:
        """Largest number of images that it takes at once."""

    def detect_each(
        self,
        images_rgb: Sequence[NDArray[np.uint8]],
        thresholds: Sequence[float | None] | None = None,
        measure: Measure = ...,
    ) -> Sequence[Boxes | Exception]:
        """Return the boxes of each image, or the error of that image alone.

        Args:
            images_rgb: (H, W, 3) uint8 images.
            thresholds: smallest score for each image; None for that of the detector.
            measure: context that measures a phase by its name.
        """


class DetectorModel:
    """``FrameModel`` of a detector.

    Args:
        detector: closed with the model.
        backend: name of what it runs on, where the detector does not state it.
        device: that it was opened for.
        buffers: memory that it was opened with; freed with the model.
    """

    needs_depth = False

    def __init__(
        self,
        detector: Detector,
        backend: str = "package",
        device: str = "cpu",
        buffers: ModelBuffers | None = None,
    ) -> None:
        self._detector, self._buffers = detector, buffers
        self._phased = detector if isinstance(detector, PhasedDetector) else None
        self.backend = backend if self._phased is None else self._phased.backend
        self.device = device
        self.max_batch = 1 if self._phased is None else self._phased.max_batch

    @property
    def labels(self) -> tuple[str, ...]:
        """Names that an answer may hold."""
        return self._detector.labels

    def serve(
        self, inputs: Sequence[FrameInput], measure: Measure
    ) -> list[FrameAnswer | Exception]:
        """Return the boxes of each image; see `FrameModel.serve`.

        Args:
            inputs: the images.
            measure: context that measures a phase by its name.
        """
        return [
            outcome if isinstance(outcome, Exception) else answer_of(outcome, item)
            for outcome, item in zip(self._outcomes(inputs, measure), inputs, strict=True)
        ]

    def warm_up(self) -> None:
        """Run the detector once."""
        self._detector.warm_up()

    def close(self) -> None:
        """Free the detector and its buffers."""
        self._detector.close()
        if self._buffers is not None:
            self._buffers.clear()

    def _outcomes(
        self, inputs: Sequence[FrameInput], measure: Measure
    ) -> Sequence[Boxes | Exception]:
        images = [item.image_rgb for item in inputs]
        limits = [item.threshold for item in inputs]
        if self._phased is not None:
            return self._phased.detect_each(images, limits, measure)
        with measure(INFERENCE):
            found = self._detector.detect(images)
        return [_at_least(boxes, limit) for boxes, limit in zip(found, limits, strict=True)]


def open_detector_model(spec: ModelSpec) -> FrameModel:
    """Open the detector of a spec, with buffers of its own; see `detectors.table.open_detector`.

    Args:
        spec: source and settings of the model.

    Returns:
        The model.
    """
    buffers = ModelBuffers(spec.device, spec.use_cuda_stream)
    detector = open_detector(spec.source, spec.threshold, spec.device, buffers)
    return DetectorModel(detector, spec.source.partition(":")[0], spec.device, buffers)


def answer_of(boxes: Boxes, item: FrameInput) -> FrameAnswer:
    """Return boxes as the answer to an image.

    Args:
        boxes: result of the detector.
        item: the image.
    """
    stamped = replace(boxes, stamp_ns=item.stamp_ns)

    def draw(image_rgb: Image) -> Image:
        return draw_boxes(image_rgb, stamped)

    return FrameAnswer(stamped, draw)


def _at_least(boxes: Boxes, limit: float | None) -> Boxes:
    """Return the boxes with at least this score."""
    if limit is None:
        return boxes
    kept = np.flatnonzero(boxes.scores >= limit)
    return replace(
        boxes,
        xyxy=boxes.xyxy[kept],
        labels=tuple(boxes.labels[place] for place in kept),
        scores=boxes.scores[kept],
        masks=None if boxes.masks is None else boxes.masks[kept],
    )
