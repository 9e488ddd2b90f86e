"""The context that accompanies one run through the stages."""

import pytest

from sam6d_ros.errors import Cancelled
from sam6d_ros.pipeline import RunContext


def test_stages_are_reported_and_timed_in_their_order():
    reported = []
    ctx = RunContext(on_stage=reported.append)
    for stage in ("propose", "score"):
        with ctx.stage(stage):
            assert reported[-1] == stage
    assert reported == ["propose", "score"] == list(ctx.timings.seconds)


def test_a_checkpoint_that_raises_ends_the_run_before_the_next_stage():
    def refuse() -> None:
        raise Cancelled("by the client")

    reported = []
    ctx = RunContext(checkpoint=refuse, on_stage=reported.append)
    with pytest.raises(Cancelled), ctx.stage("propose"):
        reported.append("work")
    assert reported == []
    assert ctx.timings.seconds == {}


def test_a_stage_that_raises_is_timed_too():
    ctx = RunContext()
    with pytest.raises(ValueError, match="broken"), ctx.stage("score"):
        raise ValueError("broken")
    assert ctx.timings.seconds["score"] >= 0
