"""Accuracy and time of this project, its previous release and other libraries, in one run.

The previous release is a revision of this repository (``--previous``), run from its own files.
Every method writes a BOP results file, and the same evaluation (``sam6d eval --from-csv``) scores
them all. Prints a Markdown table and writes JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from benchmarks import environment
from sam6d_ros.evaluation.report import machine
from sam6d_ros.evaluation.statistics import Rate

REPO = environment.REPO
REAL = [REPO.parent / "shared/real" / name for name in ("ycbv", "lm", "lmo")]
METHODS = {
    "geometric": "sam6d_ros, geometric",
    "previous": "sam6d_ros, geometric, previous release",
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
    parser.add_argument(
        "--previous",
        metavar="REVISION",
        help="git revision of the method `previous` (default: skip it)",
    )
    parser.add_argument("--out", type=Path, default=Path("bench_out"), metavar="DIR")
    args = parser.parse_args(argv)
    datasets = args.datasets or [path for path in REAL if path.is_dir()]
    if not datasets:
        sys.exit(f"no dataset: {REAL[0].parent} is absent; name folders in BOP format")
    datasets, args.out = [path.resolve() for path in datasets], args.out.resolve()
    args.out.mkdir(parents=True, exist_ok=True)
    methods = [name for name in args.methods if name != "previous" or args.previous]
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        source = unpack(args.previous, Path(folder)) if "previous" in methods else REPO
        for method in methods:
            scores = [run(method, dataset, args.out, source) for dataset in datasets]
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


def unpack(revision: str, folder: Path) -> Path:
    """Write the package of a revision of this repository into a folder."""
    command = ["git", "-C", str(REPO), "archive", revision, "sam6d_ros"]
    archive = subprocess.run(command, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder


def run(method: str, dataset: Path, out: Path, previous: Path) -> dict[str, Any]:
    """Return the evaluation of one method on one dataset, as `sam6d eval --json` writes it.

    Args:
        previous: folder of the previous release's package.
        method: name of the method.
        dataset: BOP folder.
        out: folder for the results.
    """
    print(f"{METHODS[method]} on {dataset} …", file=sys.stderr, flush=True)
    csv, scores = (out / f"{method}_{dataset.name}.{kind}" for kind in ("csv", "json"))
    sam6d = [sys.executable, "-m", "sam6d_ros.apps.cli.main", "eval", dataset]
    if method in ("geometric", "previous"):
        source = previous if method == "previous" else REPO
        call(*sam6d, "--backend", "geometric", "--csv", csv, source=source)
    else:
        call(environment.ensure(), "-m", "benchmarks.peers", method, dataset, csv)
    call(*sam6d, "--from-csv", csv, "--json", scores)
    return dict(json.loads(scores.read_text()))


def call(*command: str | Path, source: Path = REPO) -> None:
    """Run a command on the package of a folder, stop when it fails; its output goes to stderr.

    It runs in that folder, where ``python -m`` looks for the package first.
    """
    env = {**os.environ, "PYTHONPATH": str(source)}
    words = [str(word) for word in command]
    subprocess.run(words, check=True, stdout=sys.stderr, env=env, cwd=source)


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
    """Return the table of docs/accuracy.md."""
    rows = result["methods"]
    count = next(iter(rows.values()))["targets"]
    about = result["machine"]
    lines = [
        f"{count} targets of {', '.join(result['datasets'])}; {about['cpu']}, "
        f"{about['cores']} cores, Python {about['python']}; 95 % Wilson intervals",
        "",
        "| method | ADD-S < 10 % | ADD < 10 % | BOP AR | median s/object |",
        "|---|---:|---:|---:|---:|",
    ]
    for method, row in rows.items():
        hits = [rate(row[key], row["targets"]) for key in RECALLS[:2]]
        cells = [*hits, f"{100 * row['ar']:.1f}", f"{row['median_time_per_object_s']:.2f}"]
        lines.append(f"| {METHODS[method]} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def rate(share: float, count: int) -> str:
    """Return hits of all with the interval of the share."""
    hits = Rate(round(share * count), count)
    low, high = hits.interval
    return f"{hits.count}/{count} [{low:.2f}, {high:.2f}]"
