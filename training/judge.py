"""``python -m training.judge OUT``: fit the judge, validate it by domain, write ``judge.json``.

The log odds are scaled at the end on the poses that stand in training scenes, each judged by a fit
on other scenes: these poses are what is returned. SCALE corrects them for path-traced scenes.
Validation and test scenes, and those of data sets, are only reported.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import sam6d_ros
from training.data import TRACED
from training.decision import Standing
from training.files import Candidates, load_candidates
from training.fit import Scenes, fit, left_out, scaling
from training.logistic import Logistic
from training.report import HEADER, decided, diagram, row

JUDGE = Path(sam6d_ros.__file__).parent / "stages" / "geometric" / "judge.json"
FEATURES = (
    "fit_fine", "visible", "rim", "color", "texture", "size", "normal_spread", "registration",
)  # fmt: skip
SCALE = (1.2, 1.0)  # slope and offset of the log odds, chosen on 16 path-traced own scenes


def main(argv: Sequence[str] | None = None) -> int:
    """Fit, report and write."""
    parser = argparse.ArgumentParser(
        prog="python -m training.judge",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder that training.data made")
    parser.add_argument(
        "--judge", type=Path, default=JUDGE, metavar="FILE", help=f"written file (default: {JUDGE})"
    )
    parser.add_argument(
        "--features",
        nargs="+",
        metavar="NAME",
        default=list(FEATURES),
        help=f"features that the judge uses (default: {' '.join(FEATURES)})",
    )
    parser.add_argument(
        "--scale", type=float, nargs=2, metavar=("SLOPE", "OFFSET"),
        default=SCALE, help=f"of the log odds at the very end (default: {SCALE})",
    )  # fmt: skip
    parser.add_argument(
        "--diagram", type=Path, metavar="PNG", help="reliability and risk of all rows, as a picture"
    )
    args = parser.parse_args(argv)
    candidates = read(args.out, "train") + read(args.out, TRACED)
    scenes = Scenes.of(candidates, args.features)
    others = left_out(scenes)
    slope_offset = scaling(scenes, others)
    model = fit(scenes).rescaled(*slope_offset).rescaled(*args.scale)
    others = [other.rescaled(*slope_offset).rescaled(*args.scale) for other in others]
    args.judge.write_text(json_text(model, scenes), encoding="utf-8")
    found = report(args.out, scenes, model, others)
    print("\n".join([HEADER, *(row(name, *item) for name, item in found.items())]))
    if args.diagram:
        image = diagram([stands for _, stands in found.values()])
        cv2.imwrite(str(args.diagram), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return 0


def read(out: Path, split: str) -> list[Candidates]:
    """Read the candidates of a split; those of data sets are the split "bop", or TRACED."""
    found = [load_candidates(path) for path in sorted((out / "candidates").glob(f"{split}_*.npz"))]
    if split == TRACED:
        found = [replace(scene, domain=traced(scene.domain)) for scene in found]
    return [scene for scene in found if len(scene.error)]


def traced(folder: str) -> str:
    """Return the domain of the path-traced scenes of a folder."""
    return f"{TRACED} {'bin' if 'bin' in folder else 'table'}"


def report(
    out: Path, train: Scenes, model: Logistic, others: Sequence[Logistic]
) -> dict[str, tuple[int, Standing]]:
    """Return the number of scenes and what stands in them, by split and domain.

    Training scenes are judged by fits on scenes of other objects.
    """
    found = {}
    for domain, index in by_domain(train.candidates).items():
        models = [others[i] for i in index]
        found[f"own {domain}, left out"] = len(index), decided(train.take(index), models)
    for split in ("validation", "test", "bop"):
        candidates = read(out, split)
        for domain, index in by_domain(candidates).items():
            scenes = Scenes.of([candidates[i] for i in index], train.features)
            stands = decided(scenes, [model] * len(index))
            found[f"{split} {domain}"] = len(index), stands
    return found


def by_domain(candidates: Sequence[Candidates]) -> dict[str, list[int]]:
    """Return the indices of the scenes of each domain."""
    names = sorted({scene.domain for scene in candidates})
    return {name: [i for i, s in enumerate(candidates) if s.domain == name] for name in names}


def json_text(model: Logistic, scenes: Scenes) -> str:
    """Return the text of ``judge.json``."""
    value: dict[str, Any] = {
        "trained_on": {name: len(index) for name, index in by_domain(scenes.candidates).items()},
        "features": list(scenes.features),
        "mean": rounded(model.mean),
        "scale": rounded(model.scale),
        "weights": rounded(model.weights),
        "bias": rounded(np.array([model.constant]))[0],
    }
    return json.dumps(value, indent=1) + "\n"


def rounded(values: NDArray[np.float64]) -> list[float]:
    """Return the values with five digits."""
    return [float(f"{value:.5g}") for value in values]


if __name__ == "__main__":
    sys.exit(main())
