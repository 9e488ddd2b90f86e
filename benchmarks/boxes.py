"""Search in the boxes of a 2D detector against the search in the whole frame, in one run.

    python -m benchmarks.boxes [DATASET …] [--jitter 0.05] [--seeds 3]

The boxes are those of the ground truth, each edge moved by up to `jitter` of the box's size. Every
image is searched by both ways in turn, for all objects in it, by the geometric backend. Printed are
hits of ADD-S and ADD (10 % of the diameter), BOP's average recall, estimates above the
default threshold that are no hit, median errors of the best estimates, and the median
time per object (that of the image divided by the number of objects), wall and CPU.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.compare import REAL
from sam6d_ros.apps.environment import default_cache_dir
from sam6d_ros.cad.bop_models import load_bop_models
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.config import PipelineConfig
from sam6d_ros.evaluation import report, runner
from sam6d_ros.evaluation.bop import BopDataset, ImageTargets
from sam6d_ros.evaluation.scores import ADD_THRESHOLD
from sam6d_ros.evaluation.truth_boxes import boxes_of_truth
from sam6d_ros.runtime.build import EngineSpec, build_engine
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.objects import ObjectSet
from sam6d_ros.stages.geometric import DEFAULT_MIN_SCORE
from sam6d_ros.types import Boxes, Frame, PoseEstimates

KEYS = ("add_s", "add")
WHOLE, BOXES = "whole frame", "boxes"


class Found(NamedTuple):
    """Scores of one object of one image, and its share of the CPU time of the image."""

    scored: runner.ScoredTarget
    cpu_s: float


class Case(NamedTuple):
    """Data set with its objects and an engine that has them loaded."""

    dataset: BopDataset
    models: dict[int, ObjectModel]
    engine: Engine


def load(path: Path) -> Case:
    """Onboard the objects of a data set."""
    dataset = BopDataset(path)
    ids = sorted({i for target in dataset.targets() for i in target.counts})
    models = load_bop_models(dataset.models_dir, ids, default_cache_dir())
    most = max(count for target in dataset.targets() for count in target.counts.values())
    config = PipelineConfig(backend="geometric", min_score=0.0, max_instances=most)
    objects = ObjectSet({model.name: model for model in models})
    engine = build_engine(EngineSpec(config, default_cache_dir(), objects=objects))
    return Case(dataset, dict(zip(ids, models, strict=True)), engine)


def search(case: Case, target: ImageTargets, boxes: Boxes | None) -> list[Found]:
    """Search the objects of one image, and score them."""

    def method(frame: Frame, names: Sequence[str]) -> PoseEstimates:
        return case.engine.run(frame, names, boxes=boxes)

    names = {i: model.name for i, model in case.models.items()}
    start = time.process_time()
    result = runner.run_image(case.dataset, target, names, method)
    cpu_s = (time.process_time() - start) / len(target.counts)
    scored = runner.score_results(case.dataset, [target], [result], case.models)
    return [Found(one, cpu_s) for one in scored]


def search_image(
    case: Case, target: ImageTargets, jitter: float, seed: int
) -> dict[str, list[Found]]:
    """Search one image by both ways; nothing without ground truth."""
    truth = case.dataset.ground_truth(target.scene_id, target.im_id)
    if truth is None:
        return {}
    frame = case.dataset.frame(target.scene_id, target.im_id)
    boxes = boxes_of_truth(frame, truth, case.models, jitter, np.random.default_rng(seed))
    return {WHOLE: search(case, target, None), BOXES: search(case, target, boxes)}


def row(way: str, found: Sequence[Found]) -> str:
    """Return one line of the table."""
    scored = [one.scored for one in found]
    summary = report.summarize(scored)
    count = summary["targets"]
    hits = [f"{round(summary[key] * count)}/{count}" for key in KEYS]
    wrong = sum(
        (target.top_score or 0) >= DEFAULT_MIN_SCORE
        and min((errors.add_s for errors in target.scores.best), default=1) > ADD_THRESHOLD
        for target in scored
    )
    cells = [
        way,
        *hits,
        f"{100 * summary['ar']:.1f}",
        str(wrong),
        f"{summary['median_rotation_deg']:.2f}",
        f"{summary['median_translation_mm']:.2f}",
        f"{np.median([target.time_s for target in scored]):.2f}",
        f"{np.median([one.cpu_s for one in found]):.2f}",
        f"{np.mean([one.cpu_s for one in found]):.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def about(found: Found) -> str:
    """Return ADD-S and ADD (shares of the diameter) of the best estimate, score and CPU time."""
    best, score = found.scored.scores.best, found.scored.top_score or 0
    errors = [min((getattr(one, key) for one in best), default=np.inf) for key in KEYS]
    return f"{errors[0]:.3f} {errors[1]:.3f} score {score:.2f} {found.cpu_s:.2f} s"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="*", type=Path, help="default: ../shared/real/*")
    parser.add_argument("--jitter", type=float, default=0.05, help="default: %(default)s")
    parser.add_argument("--seeds", type=int, default=3, help="of the jitter (default: %(default)s)")
    parser.add_argument("--details", action="store_true", help="print every object")
    args = parser.parse_args()
    cases = [load(path) for path in args.datasets or REAL if path.is_dir()]
    if not cases:
        sys.exit(f"no data set: {REAL[0].parent} is absent; name folders in BOP format")
    for case in cases:  # compile the kernels, build what is cached
        search_image(case, case.dataset.targets()[0], 0.0, 0)
    found: dict[str, list[Found]] = {WHOLE: [], BOXES: []}
    for seed in range(args.seeds):
        for case in cases:
            for target in case.dataset.targets():
                for way, scored in search_image(case, target, args.jitter, seed).items():
                    found[way] += scored
    print("| search | ADD-S | ADD | AR | wrong | rot ° | mm | s | CPU s | mean CPU s |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for way, scored in found.items():
        print(row(way, scored))
    if args.details:
        for whole, boxes in zip(found[WHOLE], found[BOXES], strict=True):
            print(f"{whole.scored.scene_id} {whole.scored.obj_id}: {about(whole)}  {about(boxes)}")


if __name__ == "__main__":
    main()
