"""Processor and wall time of a search by the number of objects that are asked for.

  python -m benchmarks.search_time ../shared/real/ycbv ../shared/pbr/table

For each annotated image of a data set: each of its objects alone, then all models of the set
together. Views of the objects and compiled loops are there before. NUMBA_NUM_THREADS limits the
threads. Prints the median with least and most of each row.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numba

from sam6d_ros.apps.environment import default_cache_dir
from sam6d_ros.cad.bop_models import load_bop_models
from sam6d_ros.config import PipelineConfig
from sam6d_ros.evaluation.bop import BopDataset
from sam6d_ros.runtime.build import EngineSpec, build_engine
from sam6d_ros.runtime.objects import ObjectSet


def main(argv: Sequence[str] | None = None) -> int:
    """Search all images and print one row for each number of objects."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.search_time",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("datasets", type=Path, nargs="+", metavar="FOLDER", help="BOP format")
    parser.add_argument("--cache-dir", type=Path, default=default_cache_dir(), metavar="DIR")
    args = parser.parse_args(argv)
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, {numba.get_num_threads()} threads, load before: {load:.1f}\n")
    print("| set | objects asked | searches | CPU s | wall s |\n|---|---:|---:|---|---|")
    for folder in args.datasets:
        times: dict[int, list[tuple[float, float]]] = {}
        for count, cpu_s, wall_s in timed(folder, args.cache_dir):
            times.setdefault(count, []).append((cpu_s, wall_s))
        for count, found in times.items():
            cpu, wall = (spread(values) for values in zip(*found, strict=True))
            print(f"| {folder.name} | {count} | {len(found)} | {cpu} | {wall} |", flush=True)
    return 0


def timed(folder: Path, cache_dir: Path) -> Iterator[tuple[int, float, float]]:
    """Yield the number of objects, processor seconds and wall seconds of each search."""
    dataset = BopDataset(folder)
    ids = dataset.model_ids()
    models = dict(zip(ids, load_bop_models(dataset.models_dir, ids, cache_dir), strict=True))
    config = PipelineConfig(backend="geometric", max_instances=1)
    known = ObjectSet({model.name: model for model in models.values()})
    engine = build_engine(EngineSpec(config, cache_dir, objects=known))
    images = [image for image in dataset.images(None) if dataset.ground_truth(*image)]
    frames = [dataset.frame(*image) for image in images]
    engine.run(frames[0], list(known.models))  # compiled loops, views
    for image, frame in zip(images, frames, strict=True):
        present = {truth.obj_id for truth in dataset.ground_truth(*image) or ()} & set(models)
        asked = [[models[obj_id].name] for obj_id in sorted(present)]
        for names in [*asked, list(known.models)]:
            cpu, wall = time.process_time(), time.perf_counter()
            engine.run(frame, names)
            yield len(names), time.process_time() - cpu, time.perf_counter() - wall


def spread(values: Sequence[float]) -> str:
    """Return the median with least and most."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    sys.exit(main())
