"""Speed and drift of tracking; prints Markdown tables and writes JSON.

    python -m benchmarks.tracking
    python -m benchmarks.tracking --only speed
    python -m benchmarks.tracking --sequences hand_held --starts truth

The sequences are rendered on first use (some minutes each) and kept in the cache folder.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from sam6d_ros.apps.threads import share_the_cores

share_the_cores()  # before the compiled loops are loaded

from benchmarks.tracking import drift, sequences, speed  # noqa: E402
from sam6d_ros.apps.environment import default_cache_dir  # noqa: E402
from sam6d_ros.config import PipelineConfig  # noqa: E402
from sam6d_ros.evaluation.report import machine  # noqa: E402
from sam6d_ros.runtime.build import EngineSpec, build_engine  # noqa: E402
from sam6d_ros.runtime.engine import Engine  # noqa: E402
from sam6d_ros.runtime.objects import ObjectSet  # noqa: E402
from sam6d_ros.types import Frame, PoseEstimates  # noqa: E402

FIVE = 5


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tracking", description=__doc__)
    parser.add_argument("--only", choices=("speed", "drift"))
    parser.add_argument("--sequences", nargs="+", choices=sequences.SEQUENCES, metavar="NAME",
                        default=list(sequences.SEQUENCES), help="default: all")  # fmt: skip
    parser.add_argument("--starts", nargs="+", choices=drift.STARTS, default=list(drift.STARTS))
    parser.add_argument("--every", type=int, default=1, help="use every n-th frame only")
    parser.add_argument("--out", type=Path, default=Path("bench_out"), metavar="DIR")
    args = parser.parse_args()
    result: dict[str, Any] = {"machine": machine(), "every": args.every}
    lines: list[str] = []
    if args.only != "drift":
        rows = speeds(args.sequences[0], args.every)
        result["speed"] = [asdict(row) for row in rows]
        lines += [*speed.table(rows), ""]
    if args.only != "speed":
        drifts = [
            row
            for name in args.sequences
            for row in drift_rows(name, args.starts, args.every, result)
        ]
        result["drift"] = [asdict(row) for row in drifts]
        lines += [*drift.summary(drifts), "", *drift.table(drifts)]
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "tracking.json").write_text(json.dumps(result, indent=1) + "\n")
    text = "\n".join(lines) + "\n"
    (args.out / "tracking.md").write_text(text)
    print(text)
    return 0


def speeds(name: str, every: int) -> list[speed.Speed]:
    """Every object alone, then five."""
    sequence = sequences.load(name, default_cache_dir(), every)
    engine = engine_for(sequence, "tracking")
    names = list(sequence.truth[0])
    groups = [*([name] for name in names), names[:FIVE]]
    return [speed.measure(sequence, group, engine) for group in groups]


def drift_rows(name: str, starts: list[str], every: int, result: dict[str, Any]) -> list[drift.Row]:
    """One sequence with every kind of start."""
    sequence = sequences.load(name, default_cache_dir(), every)

    @lru_cache(maxsize=1)
    def full_engine() -> Engine:
        return engine_for(sequence, "full")

    estimates: dict[int, PoseEstimates] = {}

    def full(frame: Frame) -> PoseEstimates:
        if frame.stamp_ns not in estimates:
            estimates[frame.stamp_ns] = full_engine().run(frame)
        return estimates[frame.stamp_ns]

    rows = []
    for start in starts:
        print(f"{name}, from {start} …", file=sys.stderr, flush=True)
        found, counts = drift.run(sequence, start, engine_for(sequence, "tracking"), full)
        result.setdefault("counts", {})[f"{name}, {start}"] = counts
        rows += found
    return rows


def engine_for(sequence: sequences.Sequence, role: str) -> Engine:
    """An engine with the sequence's objects, warm."""
    config = PipelineConfig(backend="geometric", max_instances=1)
    objects = ObjectSet({model.name: model for model in sequence.models.values()})
    return build_engine(EngineSpec(config, default_cache_dir(), role, objects))


if __name__ == "__main__":
    sys.exit(main())
