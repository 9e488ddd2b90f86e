"""``python -m benchmarks.peers METHOD DATASET CSV``: write a BOP results file."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from benchmarks.peers import fpfh, ppf
from benchmarks.peers.common import Matcher
from sam6d_ros.apps.environment import default_cache_dir
from sam6d_ros.cad.bop_models import load_bop_models
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.evaluation.bop import BopDataset, ImageTargets
from sam6d_ros.evaluation.results_csv import ImageResult, write_csv
from sam6d_ros.types import Frame, PoseEstimate

METHODS = {"ppf": ppf.PpfMatcher, "fpfh": fpfh.FpfhMatcher}


def main() -> int:
    """Run one method over one dataset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("csv", type=Path)
    args = parser.parse_args()
    dataset = BopDataset(args.dataset)
    targets = dataset.targets()
    ids = sorted({obj_id for target in targets for obj_id in target.counts})
    loaded = load_bop_models(dataset.models_dir, ids, default_cache_dir())
    models = dict(zip(ids, loaded, strict=True))
    matcher = METHODS[args.method]()
    for model in models.values():  # not timed, as onboarding is not
        print(f"learning {model.name} …", file=sys.stderr, flush=True)
        matcher.prepare(model)
    write_csv(args.csv, [run_image(matcher, dataset, target, models) for target in targets])
    return 0


def run_image(
    matcher: Matcher, dataset: BopDataset, target: ImageTargets, models: dict[int, ObjectModel]
) -> ImageResult:
    """All target objects of an image, one after the other; their times add up."""
    frame = dataset.frame(target.scene_id, target.im_id)
    start = time.perf_counter()
    found = [
        (obj_id, estimate)
        for obj_id in target.counts
        if (estimate := find(matcher, frame, models[obj_id])) is not None
    ]
    elapsed = time.perf_counter() - start
    print(f"scene {target.scene_id} image {target.im_id}: {elapsed:.1f} s", file=sys.stderr)
    return ImageResult(target.scene_id, target.im_id, tuple(found), elapsed)


def find(matcher: Matcher, frame: Frame, model: ObjectModel) -> PoseEstimate | None:
    """One object in one frame; None when the library gives no pose."""
    result = matcher.find(frame, model)
    return None if result is None else PoseEstimate(model.name, result[1], result[0])


if __name__ == "__main__":
    sys.exit(main())
