"""Scaling of a batch on Ray: 1 and 2 pinned workers, and the driver's limit with empty tasks.

python -m benchmarks.fleet scaling DATASET        frames per second of `sam6d eval`
python -m benchmarks.fleet driver                 results per second that the driver takes in
"""

from __future__ import annotations

import argparse
import itertools
import os
import pickle
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from sam6d_ros.apps.environment import default_cache_dir, prepare_ray, worker_environment
from sam6d_ros.cad.bop_models import load_bop_models
from sam6d_ros.config import PipelineConfig
from sam6d_ros.evaluation.bop import BopDataset
from sam6d_ros.fleet.actor import Resources
from sam6d_ros.fleet.batch import run_batch
from sam6d_ros.fleet.connect import LOCAL, connected
from sam6d_ros.fleet.pool import Pool
from sam6d_ros.fleet.ray_pool import RayPool
from sam6d_ros.fleet.results import Found, FrameResult
from sam6d_ros.fleet.shards import ShardFolder
from sam6d_ros.fleet.tasks import BopImage, FrameTask, Work
from sam6d_ros.fleet.worker import FrameWorker

POSES = 4  # of each simulated result, about 2 kB with their masks
MASK = {"size": [480, 640], "counts": "0" * 300}
POSE = tuple(0.1234567890123 * (i + 1) for i in range(16))


class EmptyWorker:
    """Worker that answers at once, with a result of the usual size."""

    def run(self, task: FrameTask) -> FrameResult:
        """Return a result without work."""
        found = tuple(Found(f"obj_{i}", f"obj_{i}_0", 0.9, 1.0, POSE, MASK) for i in range(POSES))
        return FrameResult(task.key, found, 0.1)


class PinnedWorker(FrameWorker):
    """Worker on one core."""

    def __init__(self, work: Work, lock_dir: str) -> None:
        core = next(i for i in itertools.count() if _took(Path(lock_dir, str(i))))
        os.sched_setaffinity(0, {core})
        super().__init__(work)

    def run(self, task: FrameTask) -> FrameResult:
        """Search one frame; the time is that of the processor, whatever else it works on."""
        start = time.process_time()
        result = super().run(task)
        return replace(result, time_s=time.process_time() - start)


def _took(path: Path) -> bool:
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


class SimulatedPool:
    """Results as 1000 workers would give them: pickled, ready as fast as they are taken in."""

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def results(self, tasks: Iterator[FrameTask]) -> Iterator[list[FrameResult]]:
        """Yield one result of every worker at a time."""
        worker, waiting = EmptyWorker(), iter(tasks)
        while chunk := [*itertools.islice(waiting, self._workers)]:
            yield [pickle.loads(pickle.dumps(worker.run(task))) for task in chunk]


def rate(pool: Pool, tasks: Sequence[FrameTask]) -> float:
    """Return the frames per second of a batch, from its first result on."""
    with tempfile.TemporaryDirectory() as folder, ShardFolder(Path(folder), {}) as shards:
        start, before = 0.0, 0
        for records in run_batch(pool, tasks, shards):
            if not start and records:
                start, before = time.perf_counter(), len(shards.records)
        return (len(shards.records) - before) / (time.perf_counter() - start)


def scaling(dataset: Path, images: int) -> None:
    """Print the frames per second of 1 and 2 workers, each pinned to one core."""
    opened = BopDataset(dataset)
    targets = [*itertools.islice(itertools.cycle(opened.targets()), images)]
    ids = sorted({i for target in targets for i in target.asked})
    models = load_bop_models(opened.models_dir, ids, default_cache_dir())
    work = Work(PipelineConfig(backend="geometric"), default_cache_dir(), tuple(models))
    names = dict(zip(ids, (model.name for model in models), strict=True))
    tasks = [
        FrameTask(
            f"{number}: {t.scene_id}/{t.im_id}",
            BopImage(dataset.resolve(), None, None, t.scene_id, t.im_id),
            tuple(names[i] for i in t.asked),
        )
        for number, t in enumerate(targets)
    ]
    task_bytes = len(pickle.dumps(tasks[0]))
    sizes = []
    for workers in (1, 2):
        with tempfile.TemporaryDirectory() as locks, connected(LOCAL, num_cpus=2) as ray:
            make = partial(PinnedWorker, work, locks)
            pool = RayPool(ray, make, Resources(workers, environment=worker_environment()))
            with tempfile.TemporaryDirectory() as folder, ShardFolder(Path(folder), {}) as shards:
                start, count, cpu_s = 0.0, 0, list[float]()
                for records in run_batch(pool, tasks, shards):
                    sizes += [len(pickle.dumps(record)) for record in records]
                    cpu_s += [record.time_s for record in records]
                    if not start and pool.working == workers and records:
                        start, count = time.perf_counter(), len(shards.records)
                seconds = time.perf_counter() - start
                print(
                    f"{workers} workers: {(len(tasks) - count) / seconds:.3f} frames/s, median "
                    f"{statistics.median(cpu_s):.2f} CPU s per frame"
                )
            pool.close()
    print(f"bytes per frame: task {task_bytes}, result {sum(sizes) / len(sizes):.0f}")


def driver(tasks: int, workers: Sequence[int]) -> None:
    """Print the results per second that a driver takes in, without work."""
    images = BopImage(Path("/data/set"), None, None, 1, 1)
    some = [FrameTask(str(i), images) for i in range(tasks)]
    record = EmptyWorker().run(some[0])
    print(f"bytes: task {len(pickle.dumps(some[0]))}, result {len(pickle.dumps(record))}")
    simulated = rate(SimulatedPool(1000), some)
    print(f"simulated traffic of 1000 workers: {simulated:.0f} results/s (unpickle, store)")
    with connected(LOCAL, num_cpus=2) as ray:
        for count in workers:
            pool = RayPool(ray, EmptyWorker, Resources(count, cpus=2 / max(2, count)))
            print(f"{count} actors: {rate(pool, some):.0f} results/s", flush=True)
            pool.close()


def main() -> None:
    """Run one of the measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("scaling", "driver"))
    parser.add_argument("dataset", type=Path, nargs="?")
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--tasks", type=int, default=5000)
    args = parser.parse_args()
    prepare_ray()
    if args.what == "scaling":
        scaling(args.dataset, args.images)
    else:
        driver(args.tasks, (1, 2, 8))


if __name__ == "__main__":
    main()
