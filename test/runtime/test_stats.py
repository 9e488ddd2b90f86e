"""Measurements of a frame stream: rates, ages, stage times, counts."""

import math
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

from sam6d_ros.runtime.memory import device_bytes, free_memory, resident_bytes
from sam6d_ros.runtime.stats import WINDOW_S, FrameStats


@pytest.fixture
def stats(clock):
    return FrameStats(clock)


def test_rates_are_of_the_last_seconds(stats, clock):
    for _ in range(300):  # 15 Hz in, 5 Hz out, for 20 s
        clock.now += 1 / 15
        stats.receive()
        if _ % 3 == 0:
            stats.process({})
    figures = stats.snapshot()
    assert figures.input_rate_hz == pytest.approx(15, rel=0.02)
    assert figures.output_rate_hz == pytest.approx(5, rel=0.03)
    assert (figures.received, figures.processed) == (300, 100)
    clock.now += WINDOW_S + 1
    figures = stats.snapshot()
    assert (figures.input_rate_hz, figures.output_rate_hz) == (0, 0)
    assert (figures.received, figures.processed) == (300, 100)


def test_the_age_of_the_newest_result_grows_until_the_next(stats, clock):
    assert stats.snapshot().result_age_s == math.inf
    stats.record_result(age_s=2.0)
    clock.now += 21
    assert stats.snapshot().result_age_s == pytest.approx(23)
    stats.record_result(age_s=1.7e9)  # of another clock
    clock.now += 1
    assert stats.snapshot().result_age_s == pytest.approx(1)


def test_a_rate_is_right_before_the_window_is_full(stats, clock):
    for _ in range(40):
        clock.now += 0.1
        stats.receive()
    assert stats.snapshot().input_rate_hz == pytest.approx(10, rel=0.03)


def test_ages_and_stage_times_have_median_and_95th_percentile(stats, clock):
    for number in range(101):
        clock.now += 0.01
        stats.record_result(age_s=number / 100)
        stats.process({"score": number / 1000, **({"refine": 0.5} if number == 7 else {})})
    figures = stats.snapshot()
    assert (figures.age.median, figures.age.p95) == pytest.approx((0.5, 0.95))
    score, refine = figures.stages["score"], figures.stages["refine"]
    assert (score.median, score.p95, score.count) == pytest.approx((0.05, 0.095, 101))
    assert (refine.median, refine.p95, refine.count) == (0.5, 0.5, 1)


def test_what_is_old_is_forgotten_and_no_value_is_nan(stats, clock):
    stats.record_result(3.0)
    stats.process({"score": 1.0})
    clock.now += WINDOW_S + 1
    figures = stats.snapshot()
    assert math.isnan(figures.age.median)
    assert figures.age.count == 0
    assert figures.stages == {}
    assert figures.idle_s == WINDOW_S + 1


def test_counts_begin_anew_with_an_activation(stats, clock):
    stats.receive()
    stats.skip()
    stats.fail()
    stats.process({"score": 1.0})
    figures = stats.snapshot()
    assert (figures.received, figures.skipped, figures.failed, figures.processed) == (1, 1, 1, 1)
    stats.restart()
    figures = stats.snapshot()
    assert (figures.received, figures.skipped, figures.failed, figures.processed) == (0, 0, 0, 0)
    assert figures.idle_s == math.inf


GROWTH = """
from sam6d_ros.runtime.memory import resident_bytes
before = resident_bytes()
held = bytearray(60_000_000)
print(resident_bytes() - before)
"""


def test_memory_is_that_of_this_process():
    """In a process of its own: threads of other tests free memory meanwhile."""
    done = subprocess.run(
        [sys.executable, "-c", GROWTH], capture_output=True, text=True, check=True
    )
    assert 50_000_000 < int(done.stdout) < 90_000_000
    assert resident_bytes() > 10_000_000
    assert device_bytes() >= 0


def test_a_module_that_another_thread_still_imports_holds_no_device_memory(monkeypatch):
    """A node reports its memory while its compute thread imports torch."""
    half, cuda = ModuleType("torch"), ModuleType("torch.cuda")
    monkeypatch.setitem(sys.modules, "torch", half)
    assert device_bytes() == 0
    free_memory()
    half.cuda = cuda
    assert device_bytes() == 0
    free_memory()


def test_memory_of_graphs_counts(monkeypatch):
    """It is reserved for them and mostly allocated only while they are recorded."""
    torch = ModuleType("torch")
    torch.cuda = SimpleNamespace(
        is_initialized=lambda: True,
        device_count=lambda: 2,
        memory_allocated=lambda device: 3,
        memory_reserved=lambda device: 50 + device,
    )
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert device_bytes() == 101
