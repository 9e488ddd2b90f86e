"""The benchmark of the networks runs, and its result names the machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the networks need torch: make setup-sam6d")

REPO = Path(__file__).resolve().parents[2]


def test_point_operators_are_measured_plain_and_accelerated(tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    words = "--device cpu --parts points --counts 1 2 --repeats 1 --threads 1 --out"
    command = [sys.executable, "-m", "benchmarks.networks", *words.split(), str(out)]
    subprocess.run(command, cwd=REPO, check=True, capture_output=True, timeout=200)
    result = json.loads(out.read_text())
    assert result["machine"]
    assert result["gpu"] is None
    assert result["note"].startswith("CUDA not measured: ")
    rows = {(r["stage"], r["items"], r["mode"]): r for r in result["rows"]}
    for stage in ("sample 196 of 2048", "two ball queries"):
        for items in (1, 2):
            plain, fast = (rows[stage, items, mode] for mode in ("plain", "loops"))
            assert 0 < fast["cpu_s"] < plain["cpu_s"]
            assert plain["spread_s"][0] <= plain["median_s"] <= plain["spread_s"][1]
