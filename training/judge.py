"""``python -m training.judge OUT``: fit the judges, validate them by domain, write ``judge.json``.

The judge of poses sees one pose. Its log odds are scaled at the end on the poses that stand in
training scenes, each judged by a fit on other scenes. What it leaves fits the shares of the poses
of one instance, and the judge of instances. Validation and test scenes, and those of data sets,
are only reported.
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
from sam6d_ros.stages.geometric.judge import InstanceJudge
from sam6d_ros.stages.geometric.paired import COLUMNS
from sam6d_ros.stages.geometric.surroundings import SURROUNDINGS
from training.data import TRACED
from training.decision import Standing
from training.files import Candidates, load_candidates
from training.fit import Scenes, fit, left_out, scaling
from training.judges import Judges, decided, fit_judges
from training.logistic import Logistic
from training.report import HEADER, diagram, row

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
        "--keep-poses", action="store_true",
        help="keep the judge of poses that the written file has: it decided what was searched",
    )  # fmt: skip
    parser.add_argument(
        "--diagram", type=Path, metavar="PNG", help="reliability and risk of all rows, as a picture"
    )
    args = parser.parse_args(argv)
    candidates = read(args.out, "train") + read(args.out, TRACED)
    kept = json.loads(args.judge.read_text(encoding="utf-8")) if args.keep_poses else None
    scenes = Scenes.of(candidates, kept["features"] if kept else args.features)
    model, others = kept_judge(kept, scenes) if kept else fitted_judge(scenes, args.scale)
    judges, left = fit_judges(scenes, model, others)
    value = kept or poses_json(model, scenes)
    value["turns"] = {"columns": list(COLUMNS), "weights": rounded(judges.turns)}
    value["instances"] = instances_json(judges.instances, scenes)
    args.judge.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    rows = report(args.out, scenes, left, judges)
    print("\n".join([HEADER, *(row(name, *item) for name, item in rows.items())]))
    if args.diagram:
        image = diagram([stands for _, stands in rows.values()])
        cv2.imwrite(str(args.diagram), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return 0


def fitted_judge(scenes: Scenes, scale: tuple[float, float]) -> tuple[Logistic, Sequence[Logistic]]:
    """Fit the judge of poses; return it, and for each scene one of scenes of other objects."""
    others = left_out(scenes)
    slope_offset = scaling(scenes, others)
    model = fit(scenes).rescaled(*slope_offset).rescaled(*scale)
    return model, [other.rescaled(*slope_offset).rescaled(*scale) for other in others]


def kept_judge(stated: dict[str, Any], scenes: Scenes) -> tuple[Logistic, Sequence[Logistic]]:
    """Return the judge of poses of a file, and it again for each scene."""
    mean, scale, weights = (np.array(stated[key]) for key in ("mean", "scale", "weights"))
    model = Logistic(mean, scale, weights, float(stated["bias"]))
    return model, [model] * len(scenes.candidates)


def read(out: Path, split: str) -> list[Candidates]:
    """Read the candidates of a split; those of data sets are the split "bop", or TRACED."""
    found = [load_candidates(path) for path in sorted((out / "candidates").glob(f"{split}_*.npz"))]
    if split == TRACED:
        found = [replace(scene, domain=traced(scene.domain)) for scene in found]
    return [scene for scene in found if len(scene.error)]


def traced(folder: str) -> str:
    """Return the domain of the path-traced scenes of a folder: kind and folder."""
    return f"{TRACED} {'bin' if 'bin' in folder else 'table'} {folder}"


def kind_of(domain: str) -> str:
    """Return the kind of the scenes of a domain: of path-traced ones without the folder."""
    return " ".join(domain.split()[:2]) if domain.startswith(TRACED) else domain


def report(
    out: Path, train: Scenes, left: Sequence[Judges], shipped: Judges
) -> dict[str, tuple[int, Standing]]:
    """Return the number of scenes and what stands in them, by split and domain.

    Args:
        out: folder of the candidates.
        train: training scenes.
        left: for each of them the judges of other objects.
        shipped: the judges of all other scenes.
    """
    found = {}
    for domain, index in by_domain(train.candidates).items():
        rows = decided(train.take(index), [left[i] for i in index])
        found[f"own {domain}, left out"] = len(index), rows
    for split in ("validation", "test", "bop"):
        candidates = read(out, split)
        for domain, index in by_domain(candidates).items():
            scenes = Scenes.of([candidates[i] for i in index], train.features)
            found[f"{split} {domain}"] = len(index), decided(scenes, [shipped] * len(index))
    return found


def by_domain(candidates: Sequence[Candidates]) -> dict[str, list[int]]:
    """Return the indices of the scenes of each domain."""
    kinds = [kind_of(scene.domain) for scene in candidates]
    return {kind: [i for i, k in enumerate(kinds) if k == kind] for kind in sorted(set(kinds))}


def poses_json(model: Logistic, scenes: Scenes) -> dict[str, Any]:
    """Return the entries of the judge of poses."""
    return {
        "trained_on": trained_on(scenes),
        "features": list(scenes.features),
        "mean": rounded(model.mean),
        "scale": rounded(model.scale),
        "weights": rounded(model.weights),
        "bias": rounded(np.array([model.constant]))[0],
    }


def instances_json(judge: InstanceJudge, scenes: Scenes) -> dict[str, Any]:
    """Return the entries of the judge of instances."""
    return {
        "trained_on": trained_on(scenes),
        "features": list(SURROUNDINGS),
        "low": rounded(judge.low),
        "high": rounded(judge.high),
        "weights": rounded(judge.weights),
        "bias": rounded(np.array([judge.bias]))[0],
    }


def trained_on(scenes: Scenes) -> dict[str, int]:
    """Return the number of scenes of each domain."""
    return {name: len(index) for name, index in by_domain(scenes.candidates).items()}


def rounded(values: NDArray[np.float64]) -> list[float]:
    """Return the values with five digits."""
    return [float(f"{value:.5g}") + 0.0 for value in values]  # no negative zero


if __name__ == "__main__":
    sys.exit(main())
