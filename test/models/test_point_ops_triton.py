"""The Triton kernels against torch alone, without a GPU: interpreted, and compiled but not run."""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="the networks need torch: make setup-sam6d")

from sam6d_ros.models import point_ops, point_ops_cpu  # noqa: E402

CHECKS = Path(__file__).parents[1] / "support/triton_checks.py"
INTERPRETER = (3, 7)  # older interpreters stumble over newer numpy

needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None,
    reason="triton is not installed; it comes with torch for CUDA (pip install triton)",
)


def run(check: str, **environment: str) -> None:
    done = subprocess.run(
        [sys.executable, CHECKS, check],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@needs_triton
def test_interpreted_kernels_choose_what_torch_alone_chooses() -> None:
    version = metadata.version("triton")
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < INTERPRETER:
        pytest.skip(f"the interpreter of triton {version} is too old for this numpy")
    run("interpreted", TRITON_INTERPRET="1")


@needs_triton
def test_kernels_compile_for_gpus_without_fused_sums(tmp_path: Path) -> None:
    run("compiled", TRITON_INTERPRET="0", TRITON_CACHE_DIR=str(tmp_path))


def loops(**replaced: object) -> SimpleNamespace:
    """The compiled loops of the CPU with the interface of the kernels."""
    functions = {
        "sample_furthest": lambda points, order, count: torch.from_numpy(
            point_ops_cpu.sample_furthest(points.numpy(), order.numpy(), count)
        ),
        "first_within": lambda queries, points, limit, count: torch.from_numpy(
            point_ops_cpu.first_within(queries.numpy(), points.numpy(), limit, count)
        ),
    }
    return SimpleNamespace(**functions | replaced)


def test_kernels_that_choose_other_points_are_noticed() -> None:
    cpu = torch.device("cpu")
    assert point_ops.kernels_agree(loops(), cpu)
    exact = loops()

    def without_ties(points, order, count):
        return exact.sample_furthest(points, torch.arange(len(order)), count)

    def one_more(queries, points, limit, count):
        return exact.first_within(queries, points, limit * 1.01, count)

    assert not point_ops.kernels_agree(loops(sample_furthest=without_ties), cpu)
    assert not point_ops.kernels_agree(loops(first_within=one_more), cpu)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: the kernels do run")
def test_kernels_that_do_not_run_leave_the_work_to_torch(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    choose = point_ops.cuda_kernels.__wrapped__
    assert choose(torch.device("cpu")) is None
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "sam6d_ros.models.point_ops_triton", loops())
    monkeypatch.setattr(sys.modules["sam6d_ros.models"], "point_ops_triton", loops(), raising=False)
    with caplog.at_level(logging.WARNING):
        assert choose(torch.device("cuda")) is None
    assert "do not run" in caplog.text


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_kernels_run_on_this_gpu() -> None:
    device = torch.device("cuda")
    kernels = point_ops.cuda_kernels(device)
    assert kernels is not None
    for total in (196, 2048, 5000):
        assert point_ops.kernels_agree(kernels, device, total)
