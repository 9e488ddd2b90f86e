"""Models that answer frames: the seam between a model server and detectors or the pose pipeline.

A registry, streams and routes use a `FrameModel` only; `detector_model` makes one of a detector,
`pose_model` one of the pose pipeline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sam6d_ros.types import Boxes, Frame, PoseEstimates

Image = NDArray[np.uint8]

# Called with the name of a phase; its seconds are those inside the context.
Measure = Callable[[str], AbstractContextManager[object]]


@dataclass(frozen=True, eq=False)
class FrameInput:
    """One image for a model.

    Attributes:
        image_rgb: (H, W, 3) uint8, RGB.
        threshold: lowest score that is returned; None is that of the model.
        frame: the image with depth and intrinsics, for models that need them, or None.
        stamp_ns: time of capture in nanoseconds.
    """

    image_rgb: Image
    threshold: float | None = None
    frame: Frame | None = None
    stamp_ns: int = 0

    @classmethod
    def of(cls, frame: Frame, threshold: float | None = None) -> FrameInput:
        """Return the input of an RGB-D frame.

        Args:
            frame: the image.
            threshold: smallest score; None for that of the model.
        """
        return cls(frame.rgb, threshold, frame, frame.stamp_ns)


@dataclass(frozen=True, eq=False)
class FrameAnswer:
    """Result of a model for one image.

    Attributes:
        boxes: best first; of poses the rectangles around the projected boxes of the objects.
        draw: returns a copy of an image (H, W, 3) uint8 of the same size with the result.
        poses: of a pose pipeline, else None.
        seconds: of each phase, with the wait in the queue.
    """

    boxes: Boxes
    draw: Callable[[Image], Image]
    poses: PoseEstimates | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)


class FrameModel(Protocol):
    """Loaded model; one thread uses it."""

    @property
    def backend(self) -> str:
        """Library or method that it runs on."""

    @property
    def device(self) -> str:
        """Device that it runs on."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names that an answer may hold."""

    @property
    def max_batch(self) -> int:
        """Largest number of images that it takes at once."""

    @property
    def needs_depth(self) -> bool:
        """Whether ``FrameInput.frame`` must be given."""

    def serve(
        self, inputs: Sequence[FrameInput], measure: Measure
    ) -> Sequence[FrameAnswer | Exception]:
        """Return the answer to each image, or the error of that image alone.

        Args:
            inputs: the images.
            measure: called with each phase.

        Raises:
            Sam6dError: the model failed for all of them.
        """

    def warm_up(self) -> None:
        """Run once, so that the first image takes no longer than the next."""

    def close(self) -> None:
        """Free the model; a second call has no effect."""
