"""Reliability of the scores over several data sets, from the JSON of `sam6d eval --ask-all --json`.

  python -m benchmarks.reliability a.json b.json --out reliability.png

Prints the share of right poses by score as a Markdown table with 95 % Wilson intervals, and the
calibration error over all poses that stand (ten bins of equal width).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2

from sam6d_ros.evaluation.reliability import picture, reliability_bins
from sam6d_ros.evaluation.statistics import calibration_error


def main(argv: Sequence[str] | None = None) -> int:
    """Read the answers, print the table, write the picture."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reliability",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("results", type=Path, nargs="+", metavar="JSON")
    parser.add_argument("--out", type=Path, metavar="PNG", help="both diagrams, as a picture")
    args = parser.parse_args(argv)
    scores, right = answers(args.results)
    print(text(scores, right))
    if args.out:
        cv2.imwrite(str(args.out), cv2.cvtColor(picture(scores, right), cv2.COLOR_RGB2BGR))
    return 0


def answers(paths: Sequence[Path]) -> tuple[list[float], list[bool]]:
    """Return score and rightness of every pose that stands in some results."""
    found = [
        answer
        for path in paths
        for image in json.loads(path.read_text())["images"]
        for answer in image["answers"]
    ]
    return [float(item["score"]) for item in found], [bool(item["right"]) for item in found]


def text(scores: Sequence[float], right: Sequence[bool]) -> str:
    """Return the table and the calibration error."""
    lines = ["| score | poses | mean score | right, 95 % |", "|---|---:|---:|---|"]
    for item in reliability_bins(scores, right):
        low, high = item.rate.interval
        share = f"{item.rate.value:.2f} [{low:.2f}, {high:.2f}]"
        span = f"{item.low:.1f} … {item.high:.1f}"
        lines.append(f"| {span} | {item.rate.total} | {item.mean_score:.2f} | {share} |")
    error = calibration_error(scores, right)
    return "\n".join([*lines, "", f"calibration error {error:.3f} over {len(scores)} poses"])


if __name__ == "__main__":
    sys.exit(main())
