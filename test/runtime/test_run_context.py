"""Context of one engine run: times, intermediate results, checkpoints."""

import pytest
from support.contexts import add
from support.oracles import OracleStages

from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import Cancelled
from sam6d_ros.pipeline import PoseEstimation, Record, RunContext, Segmentation, Timings
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.warmup import box_model, warm_up_input

MODEL, FRAME, _ = warm_up_input(box_model())


@pytest.fixture
def engine():
    stages = OracleStages()
    engine = Engine(
        PipelineConfig(),
        segmentation=Segmentation(stages, stages),
        pose_estimation=PoseEstimation(stages, stages),
    )
    add(engine, MODEL)
    return engine


def test_a_stage_that_raises_is_measured():
    timings = Timings()
    with pytest.raises(KeyError), timings.measure("score"):
        raise KeyError
    assert timings.seconds["score"] >= 0


def test_every_stage_passes_the_checkpoint_is_announced_and_measured(engine):
    calls = []
    ctx = RunContext(checkpoint=lambda: calls.append("check"), on_stage=calls.append)
    engine.run(FRAME, ctx=ctx)
    stages = ["propose", "score", "estimate", "refine"]
    assert calls == [word for stage in stages for word in ("check", stage)]
    assert [*ctx.timings.seconds] == [*stages, "total"]


@pytest.mark.parametrize("number", range(4))
def test_an_error_of_the_checkpoint_ends_the_call_before_the_stage(engine, number):
    begun = []

    def checkpoint():
        if len(begun) == number:
            raise Cancelled

    with pytest.raises(Cancelled):
        engine.run(FRAME, ctx=RunContext(checkpoint=checkpoint, on_stage=begun.append))
    assert begun == ["propose", "score", "estimate", "refine"][:number]


def test_intermediate_results_are_kept_only_where_a_record_is_given(engine):
    record = Record()
    engine.run(FRAME, ctx=RunContext(record=record))
    assert (len(record.proposals), len(record.detections), len(record.candidates)) == (1, 1, 1)
    ctx = RunContext()
    engine.run(FRAME, ctx=ctx)
    assert ctx.record is None
