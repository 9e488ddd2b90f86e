"""Engines around stages that know the answer, and work that a test holds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.host_double import Gate
from support.oracles import OracleStages

from sam6d_ros.config import PipelineConfig
from sam6d_ros.pipeline import PoseEstimation, Segmentation
from sam6d_ros.runtime.engine import Engine


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


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.open()
