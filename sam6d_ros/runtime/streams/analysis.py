"""Analysis of stream pictures: by a detector, or by a registered model."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout

from sam6d_ros.detectors.draw import draw_boxes
from sam6d_ros.errors import DeadlineExceeded
from sam6d_ros.runtime.model_server.frame_model import FrameAnswer, FrameInput
from sam6d_ros.runtime.streams.picture import Image, Picture
from sam6d_ros.types import Boxes

# Runs in the thread of the live output; its errors are shown beside the picture.
Analysis = Callable[[Picture], FrameAnswer]

TIMEOUT_S = 30.0


def detection(detect: Callable[[Image], Boxes]) -> Analysis:
    """Return the analysis by a detector.

    Args:
        detect: boxes of an image (H, W, 3) uint8 RGB, which is read-only.
    """

    def analyse(picture: Picture) -> FrameAnswer:
        boxes = detect(picture.image_rgb)
        return FrameAnswer(boxes, lambda image_rgb: draw_boxes(image_rgb, boxes))

    return analyse


def by_model(
    submit: Callable[[FrameInput], Future[FrameAnswer]],
    threshold: float | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Analysis:
    """Return the analysis by a model of a registry.

    Args:
        submit: queues one image; the future gets the answer.
        threshold: lowest score; None is that of the model.
        timeout_s: most seconds for one picture.
    """

    def analyse(picture: Picture) -> FrameAnswer:
        item = FrameInput(picture.image_rgb, threshold, picture.frame, picture.stamp_ns)
        future = submit(item)
        try:
            return future.result(timeout_s)
        except FutureTimeout:
            future.cancel()
            raise DeadlineExceeded(
                f"the model gave no answer within {timeout_s:.0f} s; it may be overloaded"
            ) from None

    return analyse
