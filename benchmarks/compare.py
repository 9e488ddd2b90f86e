"""Accuracy and time of this project and of other libraries, on the same frames in one run.

Every method writes a BOP results file, and the same evaluation (``sam6d eval --from-csv``)
scores them all. Prints a Markdown table and writes JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import environment
from sam6d_ros.evaluation.report import machine

REPO = environment.REPO
REAL = [REPO.parent / "shared/real" / name for name in ("ycbv", "lm", "lmo")]
METHODS = {
    "geometric": "sam6d_ros, geometric",
    "ppf": "OpenCV `ppf_match_3d` + ICP",
    "fpfh": "Open3D FPFH + RANSAC + ICP",
}
RECALLS = ("add_s", "add", "ar")


def main(argv: Sequence[str] | None = None) -> int:
    """Run every method over every dataset and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "datasets", nargs="*", type=Path, help="BOP-format folders (default: ../shared/real/*)"
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--out", type=Path, default=Path("bench_out"), metavar="DIR")
    args = parser.parse_args(argv)
    datasets = args.datasets or [path for path in REAL if path.is_dir()]
    if not datasets:
        sys.exit(f"no dataset: {REAL[0].parent} is absent; name folders in BOP format")
    args.out.mkdir(parents=True, exist_ok=True)
    rows = {}
    for method in args.methods:
        scores = [run(method, dataset, args.out) for dataset in datasets]
        rows[method] = merge(scores)
    result = {
        "machine": machine(),
        "datasets": [path.name for path in datasets],
        "methods": rows,
    }
    (args.out / "compare.json").write_text(json.dumps(result, indent=1) + "\n")
    text = markdown(result)
    (args.out / "compare.md").write_text(text)
    print(text)
    return 0


def run(method: str, dataset: Path, out: Path) -> dict[str, Any]:
    """The evaluation of one method on one dataset, as `sam6d eval --json` writes it."""
    print(f"{METHODS[method]} on {dataset} …", file=sys.stderr, flush=True)
    csv, scores = (out / f"{method}_{dataset.name}.{kind}" for kind in ("csv", "json"))
    sam6d = [sys.executable, "-m", "sam6d_ros.apps.cli.main", "eval", dataset]
    if method == "geometric":
        call(*sam6d, "--backend", "geometric", "--csv", csv)
    else:
        call(environment.ensure(), "-m", "benchmarks.peers", method, dataset, csv)
    call(*sam6d, "--from-csv", csv, "--json", scores)
    return dict(json.loads(scores.read_text()))


def call(*command: str | Path) -> None:
    """Run a command in the repository and stop when it fails; its output goes to stderr."""
    env = {**os.environ, "PYTHONPATH": str(REPO)}
    subprocess.run([str(word) for word in command], check=True, stdout=sys.stderr, env=env)


def merge(scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Recalls over the targets of all datasets together, and the median time per object."""
    totals = [score["summary"]["all"] for score in scores]
    count = sum(total["targets"] for total in totals)
    times = [target["time_s"] for score in scores for target in score["targets"]]
    return {
        **{key: sum(t[key] * t["targets"] for t in totals) / count for key in RECALLS},
        "targets": count,
        "median_time_per_object_s": statistics.median(t for t in times if t >= 0),
    }


def markdown(result: dict[str, Any]) -> str:
    """The table for the README."""
    rows = result["methods"]
    count = next(iter(rows.values()))["targets"]
    about = result["machine"]
    lines = [
        f"{count} targets of {', '.join(result['datasets'])}; {about['cpu']}, "
        f"{about['cores']} cores, Python {about['python']}",
        "",
        "| method | ADD-S < 10 % | ADD < 10 % | BOP AR | median s/object |",
        "|---|---:|---:|---:|---:|",
    ]
    for method, row in rows.items():
        hits = [f"{round(row[key] * row['targets'])}/{row['targets']}" for key in RECALLS[:2]]
        cells = [*hits, f"{100 * row['ar']:.1f}", f"{row['median_time_per_object_s']:.2f}"]
        lines.append(f"| {METHODS[method]} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
