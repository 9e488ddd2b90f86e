"""Stages that know the answer: what the engine needs, with nothing to compute."""

from __future__ import annotations

import numpy as np
import pytest

from sam6d_ros.config import PipelineConfig
from sam6d_ros.pipeline import PoseEstimation, Segmentation
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.types import (
    Detection,
    Detections,
    Frame,
    PoseEstimate,
    PoseEstimates,
    Proposals,
)


class OracleStages:
    """All four stages in one: every object is found, one metre in front of the camera."""

    def __init__(self) -> None:
        self.prepared: list[str] = []
        self.frames: list[tuple[int, int]] = []
        self.failure: Exception | None = None

    def prepare(self, model) -> None:
        self.prepared.append(model.name)

    def propose(self, frame: Frame) -> Proposals:
        if self.failure:
            raise self.failure
        self.frames.append(frame.depth.shape)
        return Proposals((frame.depth > 0)[None], np.ones(1, np.float32))

    def score(self, frame, proposals, objects) -> Detections:
        mask = proposals.masks[0]
        return Detections(tuple(Detection(m.name, 0.9, mask) for m in objects))

    def estimate(self, frame, detections, objects) -> PoseEstimates:
        pose = np.eye(4)
        pose[2, 3] = 1.0
        items = tuple(
            PoseEstimate(d.class_id, d.score, pose, mask=d.mask, score_parts={"depth": 0.9})
            for d in detections.items
        )
        return PoseEstimates(items, frame.stamp_ns, frame.frame_id)

    def refine(self, frame, candidates, objects) -> PoseEstimates:
        return candidates


@pytest.fixture
def stages() -> OracleStages:
    return OracleStages()


@pytest.fixture
def make_engine(stages):
    def make(role: str = "full") -> Engine:
        return Engine(
            PipelineConfig(),
            role=role,
            segmentation=Segmentation(stages, stages),
            pose_estimation=PoseEstimation(stages, stages),
        )

    return make
