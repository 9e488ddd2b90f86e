"""Pose pipeline as a model of a model server: poses of frames with depth, drawn on the image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.detectors.model import INFERENCE
from sam6d_ros.errors import InvalidInput
from sam6d_ros.geometry.camera import CameraIntrinsics
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.model_server.frame_model import (
    FrameAnswer,
    FrameInput,
    FrameModel,
    Image,
    Measure,
)
from sam6d_ros.runtime.model_server.host import Opener
from sam6d_ros.runtime.model_server.spec import ModelSpec
from sam6d_ros.stages.accept import Acceptance
from sam6d_ros.types import Boxes, Frame, PoseEstimate, PoseEstimates
from sam6d_ros.visualize import draw_poses, image_rectangle

SCHEME = "poses"  # of its sources


class PoseModel:
    """``FrameModel`` of an engine with its objects.

    Args:
        engine: with the role "full"; used by one thread.
    """

    needs_depth, max_batch = True, 1

    def __init__(self, engine: Engine) -> None:
        self._engine: Engine | None = engine
        self.backend, self.device = engine.backend, engine.device
        self.labels = tuple(engine.objects)

    def serve(
        self, inputs: Sequence[FrameInput], measure: Measure
    ) -> list[FrameAnswer | Exception]:
        """Return the poses in each frame; see `FrameModel.serve`.

        Args:
            inputs: the frames.
            measure: context that measures a phase by its name.
        """
        return [self._serve(item, measure) for item in inputs]

    def warm_up(self) -> None:
        """Run the stages once on a synthetic frame."""
        self._loaded().warm_up()

    def close(self) -> None:
        """Free the engine."""
        self._engine = None

    def _serve(self, item: FrameInput, measure: Measure) -> FrameAnswer | Exception:
        if item.frame is None:
            return InvalidInput(
                "the image has no depth, and this model estimates poses; take a stream with depth "
                "(frames:FOLDER, bag:PATH) or another model"
            )
        engine = self._loaded()
        with measure(INFERENCE):
            poses = engine.run(item.frame, acceptance=_acceptance(engine, item.threshold))
        return answer_of(item.frame, poses, engine.objects)

    def _loaded(self) -> Engine:
        assert self._engine is not None  # its host frees it after the last call
        return self._engine


def pose_model_opener(build: Callable[[], Engine]) -> Opener:
    """Return the opener of a pose model, for the sources of ``SCHEME``.

    Args:
        build: makes the engine with its objects, in the compute thread.
    """

    def open_model(_: ModelSpec) -> FrameModel:
        return PoseModel(build())

    return open_model


def answer_of(frame: Frame, poses: PoseEstimates, models: Mapping[str, ObjectModel]) -> FrameAnswer:
    """Return poses as the answer of a model, with the rectangles of the objects' boxes.

    Args:
        frame: the image.
        poses: poses found in it.
        models: objects by class id.
    """
    seen = [(pose, _rectangle(frame.camera, pose, models)) for pose in poses.items]
    inside = [(pose, xyxy) for pose, xyxy in seen if xyxy is not None]
    boxes = Boxes(
        np.array([xyxy for _, xyxy in inside], np.float32).reshape(-1, 4),
        tuple(pose.class_id for pose, _ in inside),
        np.array([pose.score for pose, _ in inside], np.float32).clip(0, 1),
        stamp_ns=frame.stamp_ns,
    )
    camera, items = frame.camera, poses.items

    def draw(image_rgb: Image) -> Image:
        return draw_poses(image_rgb, camera, items, models)

    return FrameAnswer(boxes, draw, poses)


def _rectangle(
    camera: CameraIntrinsics, pose: PoseEstimate, models: Mapping[str, ObjectModel]
) -> tuple[int, int, int, int] | None:
    """Return left, top, right, bottom of the object's box in the image; None outside of it."""
    found = image_rectangle(camera, pose, models[pose.class_id])
    if found is None:
        return None
    left, top, width, height = found
    return left, top, left + width, top + height


def _acceptance(engine: Engine, threshold: float | None) -> Acceptance:
    """Return the limits of a call: a threshold of the request goes before those of objects."""
    limits = engine.acceptance
    if threshold is None:
        return limits
    settings = {
        name: replace(one, min_score=None if one.min_score is None else threshold)
        for name, one in limits.by_object.items()
    }
    return replace(limits, min_score=threshold, by_object=settings)
