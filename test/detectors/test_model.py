"""From images to boxes by a runner: batches, phases, errors of single images, lent memory."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest

from sam6d_ros.detectors.manifest import InputSpec, Manifest
from sam6d_ros.detectors.model import ModelDetector, rows_of
from sam6d_ros.errors import BackendUnavailable, InvalidInput
from sam6d_ros.types import Boxes

MANIFEST = Manifest("probe", ("thing",), InputSpec(scale=1.0), max_batch=3)


class Runner:
    """One box per image; its score is the first value of the tensor over 100."""

    backend = "double"
    max_batch = 3

    def __init__(self) -> None:
        self.batches: list[tuple[int, ...]] = []
        self.error: Exception | None = None

    def run(self, tensors):
        raise AssertionError("the batch is inferred as it is")

    def infer(self, batch):
        if self.error is not None:
            raise self.error
        self.batches.append(batch.shape)
        boxes = np.tile(np.float32([[[0, 0, 2, 2]]]), (len(batch), 1, 1))
        classes = (batch[:, 0, 0, :1] > 90).astype(np.int64)  # of no known class
        return [boxes, classes, batch[:, 0, 0, :1] / 100]  # the last one is part of the input

    def close(self):
        pass


class Lender:
    """``Buffers`` that spoil what is given back."""

    def __init__(self) -> None:
        self.lent: list[tuple[int, ...]] = []
        self.streams = 0

    @contextmanager
    def host(self, shape):
        self.lent.append(shape)
        array = np.full(shape, np.nan, np.float32)
        yield array
        array[:] = np.nan

    def device(self, shape):
        raise AssertionError("for runners on a device")

    @contextmanager
    def stream(self):
        self.streams += 1
        yield


def image(value: int, width: int = 8) -> np.ndarray:
    return np.full((8, width, 3), value, np.uint8)


def test_images_of_one_size_share_batches_up_to_the_limit():
    runner, lender = Runner(), Lender()
    detector = ModelDetector(MANIFEST, runner, 0.1, lender)
    values = [20, 30, 40, 50, 60]
    found = detector.detect([image(v, 6 if v == 30 else 8) for v in values])
    assert [float(boxes.scores[0]) for boxes in found] == pytest.approx([v / 100 for v in values])
    assert runner.batches == [(3, 3, 8, 8), (1, 3, 8, 8), (1, 3, 8, 6)]
    assert lender.lent == runner.batches
    assert lender.streams == 3


def test_an_error_of_one_image_leaves_the_others_their_boxes():
    detector = ModelDetector(MANIFEST, Runner(), 0.1)
    images = [image(20), image(95), np.zeros((8, 8), np.uint8), image(30)]
    first, unknown, no_image, last = detector.detect_each(images)
    assert isinstance(first, Boxes)
    assert isinstance(last, Boxes)
    assert "class 1" in str(unknown)
    assert "image is" in str(no_image)
    with pytest.raises(InvalidInput, match="class 1"):
        detector.detect(images)


def test_each_image_may_have_a_threshold_of_its_own():
    detector = ModelDetector(MANIFEST, Runner(), 0.5)
    found = detector.detect_each([image(40)] * 3, [None, 0.3, 0.0])
    assert [len(boxes) for boxes in found] == [0, 1, 1]


def test_phases_are_measured_in_their_order_even_when_one_fails():
    runner, phases = Runner(), []

    @contextmanager
    def measure(phase):
        try:
            yield
        finally:
            phases.append(phase)

    detector = ModelDetector(MANIFEST, runner)
    detector.detect_each([image(20)], measure=measure)
    assert phases == ["preprocess", "inference", "postprocess"]
    runner.error = BackendUnavailable("gone")
    with pytest.raises(BackendUnavailable):
        detector.detect_each([image(20)], measure=measure)
    assert phases[3:] == ["preprocess", "inference"]


def test_outputs_without_a_row_for_each_image_are_refused():
    with pytest.raises(InvalidInput, match="batch of 2"):
        rows_of([np.zeros((2, 4)), np.zeros(1)], 2)
    with pytest.raises(InvalidInput, match="batch of 1"):
        rows_of([np.float32(1)], 1)
