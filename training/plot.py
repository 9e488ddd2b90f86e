"""``python -m training.plot PNG JSON ...``: one reliability diagram of several evaluations.

The files are those that ``sam6d eval DATASET --ask-all --json`` writes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2

from sam6d_ros.evaluation.reliability import picture
from sam6d_ros.evaluation.statistics import calibration_error


def main(argv: Sequence[str] | None = None) -> int:
    """Pool the answers, write the picture, print the calibration error."""
    parser = argparse.ArgumentParser(prog="python -m training.plot", description=__doc__)
    parser.add_argument("png", type=Path, metavar="PNG", help="written picture")
    parser.add_argument("json", type=Path, nargs="+", metavar="JSON", help="evaluations")
    args = parser.parse_args(argv)
    files = [json.loads(path.read_text(encoding="utf-8")) for path in args.json]
    answers = [answer for file in files for image in file["images"] for answer in image["answers"]]
    scores, right = [a["score"] for a in answers], [a["right"] for a in answers]
    image = picture(scores, right)
    cv2.imwrite(str(args.png), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    print(f"{len(answers)} poses, calibration error {calibration_error(scores, right):.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
