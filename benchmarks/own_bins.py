"""Bins of one part from the generator of ../shared/method_prototypes: recall and precision.

  python -m benchmarks.own_bins --seeds 2 3 5 8 16 20

The part alone is asked for. Right is ADD(-S) below 10 % of the diameter at the default threshold;
instances that are seen less than 30 % count neither way.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.environment import REPO
from sam6d_ros.apps.environment import default_cache_dir
from sam6d_ros.config import PipelineConfig
from sam6d_ros.evaluation import catalogue
from sam6d_ros.evaluation.bop_truth import GroundTruth
from sam6d_ros.evaluation.statistics import Rate
from sam6d_ros.evaluation.synthetic import scene as synthetic
from sam6d_ros.runtime.build import EngineSpec, build_engine
from sam6d_ros.runtime.objects import ObjectSet

SEEDS = (2, 3, 5, 8, 16, 20)
LEFT_OUT = 9  # group of objects of the generator that no judge was fitted on
MIN_VISIBLE, MIN_SCORE = 0.3, 0.5
MAX_INSTANCES = 20
PROTOTYPES = REPO.parent / "shared/method_prototypes"


def main(argv: Sequence[str] | None = None) -> int:
    """Search all bins and print one row each, and one for all."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.own_bins",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, metavar="N")
    parser.add_argument("--prototypes", type=Path, default=PROTOTYPES, metavar="DIR")
    parser.add_argument("--cache-dir", type=Path, default=default_cache_dir(), metavar="DIR")
    args = parser.parse_args(argv)
    generator = load_generator(args.prototypes / "mkscene.py")
    right = returned = positives = 0
    print("| bin | instances | right | wrong | missed at any score |\n|---|---:|---:|---:|---:|")
    for seed in args.seeds:
        image, name = searched(generator, seed, args.cache_dir)
        kept = [answer for answer in image.answers if answer.score >= MIN_SCORE]
        hits = sum(answer.right for answer in kept)
        row = image.positives, hits, len(kept) - hits, len(image.missed)
        print(f"| {seed} {name} | {' | '.join(map(str, row))} |", flush=True)
        right, returned, positives = right + hits, returned + len(kept), positives + row[0]
    print(f"\nrecall {text(Rate(right, positives))}, precision {text(Rate(right, returned))}")
    return 0


def load_generator(path: Path) -> Any:
    """Load the generator of scenes, which is older than the name ``room``."""
    synthetic.__dict__.setdefault("_room", synthetic.room)
    spec = importlib.util.spec_from_file_location("mkscene", path)
    if spec is None or spec.loader is None:
        sys.exit(f"no generator at {path}; name its folder with --prototypes")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def searched(generator: Any, seed: int, cache_dir: Path) -> tuple[catalogue.CatalogueImage, str]:
    """Return the scored poses of one bin, and the name of its part."""
    frame, truth, asked = generator.scene("bin", seed, LEFT_OUT)
    model = generator.model(str(asked[0]), str(cache_dir))
    config = PipelineConfig(backend="geometric", max_instances=MAX_INSTANCES)
    spec = EngineSpec(config, cache_dir, objects=ObjectSet({model.name: model}))
    engine = build_engine(spec)
    every = replace(engine.acceptance, min_score=0.0, canonical=False)
    known = [GroundTruth(1, pose, visible) for _, pose, visible, _ in truth]
    poses = engine.run(frame, [model.name], every)
    image = catalogue.score_image((seed, 0), poses, known, {1: model}, MIN_VISIBLE)
    return image, model.name


def text(rate: Rate) -> str:
    """Return a share with its count and its 95 % interval."""
    low, high = rate.interval
    return f"{rate.count}/{rate.total} = {rate.value:.2f} [{low:.2f}, {high:.2f}]"


if __name__ == "__main__":
    sys.exit(main())
