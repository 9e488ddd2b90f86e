"""Statistics of a model: counts, distributions of the recent calls, throughput."""

from __future__ import annotations

from collections import deque

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from sam6d_ros.runtime.model_server.stats import (
    KEPT_CALLS,
    Distribution,
    ModelStats,
    PhaseTimes,
    summary,
)


@given(st.lists(st.floats(0, 1e3), min_size=1, max_size=50))
def test_a_distribution_is_that_of_its_values(values):
    found = Distribution.of(deque(values))
    assert found.count == len(values)
    assert found.min <= found.p50 <= found.p95 <= found.max
    assert (found.min, found.max) == (min(values), max(values))
    assert found.mean == pytest.approx(np.mean(values))


def test_counts_are_since_the_load_and_distributions_of_the_recent_calls(clock):
    stats = ModelStats(clock)
    for number in range(KEPT_CALLS + 500):
        stats.record({"inference": float(number)}, images=3, errors=1)
    figures = stats.figures()
    calls = KEPT_CALLS + 500
    assert (figures.images, figures.errors, figures.calls) == (3 * calls, calls, calls)
    assert figures.phases_s["inference"].count == KEPT_CALLS
    assert figures.phases_s["inference"].min == 500
    assert figures.batch.mean == 4


def test_throughput_is_that_of_the_last_minute(clock):
    stats = ModelStats(clock)
    assert stats.figures().images_per_s == 0
    stats.record({}, images=10, errors=0)
    assert stats.figures().images_per_s == 10  # not above what one second had
    for _ in range(120):
        clock.now += 0.5
        stats.record({}, images=4, errors=5)
    assert stats.figures().images_per_s == pytest.approx(8, rel=0.05)
    clock.now += 61
    assert stats.figures().images_per_s == 0
    assert stats.figures().images == 490


def test_without_a_call_everything_is_zero(clock):
    figures = ModelStats(clock).figures()
    assert figures.phases_s == {}
    assert figures.batch == Distribution()
    assert "0 images, 0 errors" in summary(figures)


def test_phases_that_come_twice_are_added_also_when_one_fails():
    now = iter([0.0, 1.0, 5.0, 7.0])
    times = PhaseTimes(lambda: next(now))
    with times.measure("inference"):
        pass
    with pytest.raises(ZeroDivisionError), times.measure("inference"):
        raise ZeroDivisionError
    assert times.seconds == {"inference": 3.0}


def test_the_log_line_has_counts_and_milliseconds(clock):
    stats = ModelStats(clock)
    stats.record({"preprocess": 0.001, "inference": 0.02}, images=1, errors=0)
    assert summary(stats.figures()) == (
        "1 images, 0 errors, 1.0 images/s over the last minute; "
        "ms: preprocess 1.0 (p95 1.0), inference 20.0 (p95 20.0)"
    )
