"""Options of a fleet of machines, its workers, and the progress of a batch."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from sam6d_ros.apps.cli.options import CONSOLE
from sam6d_ros.apps.environment import prepare_ray, worker_environment
from sam6d_ros.errors import InvalidConfig
from sam6d_ros.fleet.actor import Resources
from sam6d_ros.fleet.batch import run_batch
from sam6d_ros.fleet.connect import LOCAL, connected
from sam6d_ros.fleet.pool import LocalPool, Pool
from sam6d_ros.fleet.ray_pool import RayPool
from sam6d_ros.fleet.results import Failure, FrameResult
from sam6d_ros.fleet.shards import ShardFolder
from sam6d_ros.fleet.tasks import FrameTask, Work
from sam6d_ros.fleet.worker import FrameWorker


def add_fleet_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Declare the options; return their group."""
    group = parser.add_argument_group("many machines (docs/fleet.md)")
    group.add_argument(
        "--ray",
        nargs="?",
        const=LOCAL,
        metavar="ADDRESS",
        help="work on a Ray cluster: HOST:PORT of its head node, auto for the one on this machine; "
        "without ADDRESS, Ray is started on this machine",
    )
    group.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="engines at once, more of them than there is room for now start when machines join "
        "(default: as many as the cluster has room for)",
    )
    group.add_argument(
        "--worker-cpus",
        type=float,
        default=1.0,
        metavar="N",
        help="processor cores of each engine (default: %(default)g)",
    )
    group.add_argument(
        "--worker-gpus",
        type=float,
        default=0.0,
        metavar="N",
        help="GPUs of each engine; a fraction shares one (default: %(default)g)",
    )
    return group


@contextmanager
def pool_of(args: argparse.Namespace, work: Work) -> Iterator[Pool]:
    """Yield the workers that the options state: those of a cluster, or one in this process.

    Raises:
        BackendUnavailable: there is no such cluster, or Ray is not installed.
        InvalidConfig: a value is out of its range.
    """
    if args.ray is None:
        with CONSOLE.status("") as status:
            worker = FrameWorker(work, status.update)
        yield LocalPool(worker)
        return
    if args.worker_cpus <= 0 or args.worker_gpus < 0:
        raise InvalidConfig(
            f"--worker-cpus is {args.worker_cpus:g} and --worker-gpus {args.worker_gpus:g}; "
            "expected more than 0 cores, and 0 or more GPUs"
        )
    if args.workers is not None and args.workers < 1:
        raise InvalidConfig(f"--workers is {args.workers}; expected 1 or more")
    prepare_ray()
    with CONSOLE.status("connecting to Ray") as status, connected(args.ray) as ray:
        room = int(ray.cluster_resources().get("CPU", 1) / args.worker_cpus)
        count = max(1, room) if args.workers is None else args.workers
        resources = Resources(count, args.worker_cpus, args.worker_gpus, worker_environment())
        pool = RayPool(ray, partial(FrameWorker, work), resources)
        status.stop()
        try:
            yield pool
        finally:
            pool.close()


class RateColumn(ProgressColumn):
    """Frames per second, or seconds per frame."""

    def render(self, task: Task) -> Text:
        """Return the rate, a dash before the first frame."""
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("–")
        return Text(f"{speed:.2f}/s" if speed >= 1 else f"{1 / speed:.1f} s each")


def show_batch(pool: Pool, tasks: Iterable[FrameTask], shards: ShardFolder, total: int) -> None:
    """Run a batch with a bar of progress, rate and time left; frames that fail are printed."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), RateColumn())
    with Progress(*columns, TimeRemainingColumn(), console=CONSOLE) as bar:
        row = bar.add_task("estimating", total=total)
        for records in run_batch(pool, tasks, shards):
            for record in records:
                if record.failure is not None:
                    show_failure(record.key, record.failure)
            bar.advance(row, len(records))


def show_failure(key: str, failure: Failure) -> None:
    """Print why a frame failed, a defect with its traceback."""
    CONSOLE.print(f"{key} failed: {failure.message}", markup=False)
    if failure.trace:
        CONSOLE.print(failure.trace, markup=False, highlight=False)


def gravest_code(records: Iterable[FrameResult]) -> int:
    """Return the exit code of the gravest failure; 0 without one."""
    failures = [record.failure for record in records if record.failure is not None]
    return max(failures, key=lambda f: f.gravity).exit_code if failures else 0


def shards_beside(result: Path) -> Path:
    """Return the folder of the shards that a results file is made of."""
    return result.with_name(result.name + ".shards")
