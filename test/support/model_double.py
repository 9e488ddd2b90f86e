"""Models without a network, for tests of hosts and of the registry.

The value of an image decides what comes of it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from sam6d_ros.errors import BackendUnavailable, InvalidInput
from sam6d_ros.runtime.model_server.frame_model import FrameAnswer, FrameInput
from sam6d_ros.runtime.model_server.spec import ModelSpec
from sam6d_ros.types import Boxes

PATIENCE_S = 20.0
REFUSED, POISON, DEFECT, GONE = 201, 202, 203, 204


def image(value: int = 0) -> FrameInput:
    return FrameInput(np.full((8, 8, 3), value, np.uint8))


class ModelDouble:
    """Model whose only box has the image's value as score, per cent, and the spec's source as name.

    An image REFUSED fails alone, POISON fails its whole batch, DEFECT breaks a rule of errors,
    GONE is an error of the model.
    """

    backend, device, needs_depth = "double", "cpu", False

    def __init__(self, spec: ModelSpec, max_batch: int = 8) -> None:
        self.spec, self.max_batch = spec, max_batch
        self.labels = (spec.source,)
        self.batches: list[list[int]] = []
        self.threads: set[int] = set()
        self.warmed = self.closed = 0
        self.entered, self.gate = threading.Event(), threading.Event()
        self.gate.set()

    def serve(self, inputs: Sequence[FrameInput], measure) -> list[FrameAnswer | Exception]:
        values = [int(item.image_rgb[0, 0, 0]) for item in inputs]
        self.batches.append(values)
        self.threads.add(threading.get_ident())
        with measure("inference"):
            self.entered.set()
            assert self.gate.wait(PATIENCE_S)
            for value, error in (
                (POISON, InvalidInput("poison")),
                (DEFECT, ZeroDivisionError("defect")),
                (GONE, BackendUnavailable("gone")),
            ):
                if value in values:
                    raise error
        return [self._outcome(value) for value in values]

    def _outcome(self, value: int) -> FrameAnswer | Exception:
        if value == REFUSED:
            return InvalidInput("refused")
        score = np.float32([value / 100])
        boxes = Boxes(np.float32([[0, 0, 4, 4]]), (self.spec.source,), score)
        return FrameAnswer(boxes, lambda picture: picture.copy())

    def warm_up(self) -> None:
        self.warmed += 1

    def close(self) -> None:
        self.closed += 1


class Openers:
    """Opens doubles, keeps them by source, and fails for sources that ask for it."""

    def __init__(self) -> None:
        self.opened: dict[str, list[ModelDouble]] = {}
        self.errors: dict[str, BaseException] = {}
        self.gates: dict[str, threading.Event] = {}
        self.entered: dict[str, threading.Event] = {}

    def __call__(self, spec: ModelSpec) -> ModelDouble:
        if spec.source in self.gates:
            self.entered.setdefault(spec.source, threading.Event()).set()
            assert self.gates[spec.source].wait(PATIENCE_S)
        if spec.source in self.errors:
            raise self.errors[spec.source]
        model = ModelDouble(spec)
        self.opened.setdefault(spec.source, []).append(model)
        return model

    def last(self, source: str) -> ModelDouble:
        return self.opened[source][-1]


def spec_of(name: str = "m", source: str = "double:a", **more) -> ModelSpec:
    return ModelSpec(name, source, **{"max_batch": 8, **more})


def score_of(answer: FrameAnswer) -> int:
    return round(100 * float(answer.boxes.scores[0]))
