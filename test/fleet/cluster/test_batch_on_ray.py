"""A batch on a cluster that loses a worker, a machine and its driver equals the plain run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from support.cluster_processes import stored
from support.fleet_frames import IMAGES

from sam6d_ros.apps.cli.main import main
from sam6d_ros.cad.bop_models import load_bop_models
from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import BackendUnavailable, InvalidConfig, TooLarge
from sam6d_ros.fleet.actor import Attempt, Resources
from sam6d_ros.fleet.batch import run_batch
from sam6d_ros.fleet.connect import connected
from sam6d_ros.fleet.ray_pool import MOST_ATTEMPTS, RayPool
from sam6d_ros.fleet.results import FrameResult
from sam6d_ros.fleet.shards import ShardFolder
from sam6d_ros.fleet.tasks import BopImage, FrameTask, Work
from sam6d_ros.fleet.worker import FrameWorker

WAIT_S = 120.0


def words(frames: Path, csv: Path, *more: str) -> list[str]:
    """`sam6d eval` of the frames."""
    options = ("--backend", "geometric", "--cache-dir", str(frames.parent / "cache"))
    return ["eval", str(frames), "--csv", str(csv), *options, *more]


@pytest.fixture(scope="session")
def plain(frames: Path) -> list[list[str]]:
    """Rows of the CSV of the plain run, without times."""
    csv = frames.parent / "plain.csv"
    assert main(words(frames, csv)) == 0
    return rows(csv)


def rows(csv: Path) -> list[list[str]]:
    return [line.split(",")[:-1] for line in csv.read_text().splitlines()]


def process_of(pool: RayPool) -> int:
    """Process of an actor."""
    import ray

    call = pool._members[0].handle.__ray_call__.remote(lambda _: os.getpid())
    return ray.get(call, timeout=WAIT_S)


@pytest.fixture
def pool_of(cluster):
    """Make a pool on the cluster; it ends with the test."""
    with connected(cluster.address) as ray:
        pools = []

        def make(factory, workers=2):
            pools.append(RayPool(ray, factory, Resources(workers)))
            return pools[-1]

        yield make
        for pool in pools:
            pool.close()


def test_nothing_is_lost_or_doubled_when_a_worker_and_a_machine_die(
    cluster, second_node, pool_of, frames, plain, tmp_path
):
    models = load_bop_models(frames / "models", [1], frames.parent / "cache")
    config = PipelineConfig(backend="geometric", max_instances=1)
    work = Work(config, frames.parent / "cache", tuple(models), keep_all=True)
    names = (models[0].name,)
    images = [BopImage(frames, None, None, 2, im_id) for im_id in range(1, IMAGES + 1)]
    tasks = [FrameTask(str(image.im_id), image, names) for image in images]
    pool, arrived, killed = pool_of(partial(FrameWorker, work)), Counter(), []
    with ShardFolder(tmp_path, work.statement()) as shards:
        for records in run_batch(pool, tasks, shards):
            arrived.update(record.key for record in records)
            if not killed and pool.working == 2:
                killed = ["worker"]
                os.kill(process_of(pool), signal.SIGKILL)
            elif killed == ["worker"] and pool.deaths:
                killed += ["machine"]
                cluster.remove_node(second_node, allow_graceful=False)
        found = {int(key): record.found for key, record in shards.records.items()}
    assert killed == ["worker", "machine"]
    assert pool.deaths >= 1
    assert arrived == stored(tmp_path) == Counter(task.key for task in tasks)
    expected = Counter(int(row[1]) for row in plain[1:])
    assert Counter({key: len(poses) for key, poses in found.items()}) == expected
    for row in plain[1:]:
        (pose,) = [p for p in found[int(row[1])] if f"{p.score:.6f}" == row[3]]
        assert " ".join(f"{pose.pose[i]:.9g}" for i in (0, 1, 2, 4, 5, 6, 8, 9, 10)) == row[4]


def test_a_killed_driver_is_resumed_without_work_done_twice(cluster, frames, plain, tmp_path):
    csv, shards = tmp_path / "fleet.csv", tmp_path / "fleet.csv.shards"
    command = words(frames, csv, "--ray", cluster.address)
    program = [sys.executable, "-m", "sam6d_ros.apps.cli.main", *command]
    with (tmp_path / "log").open("w") as log:
        driver = subprocess.Popen(program, stderr=log, stdout=log)
        end = time.monotonic() + WAIT_S
        while not (before := stored(shards)):
            assert driver.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < end
            time.sleep(0.05)
        driver.kill()
        driver.wait()
    assert not csv.exists()
    assert main(command) == 0
    assert rows(csv) == plain
    after = stored(shards)
    assert len(after) == IMAGES
    assert set(after.values()) == {1}
    assert set(before) <= set(after)


class Fragile:
    """Worker of a test: dies at frame "deadly", fails otherwise as the key demands."""

    def run(self, task: FrameTask) -> FrameResult:
        if task.key == "deadly":
            os._exit(1)
        if task.key == "large":
            return FrameResult.failed(task.key, TooLarge("too large"))
        if task.key == "broken":
            return FrameResult.failed(task.key, ValueError("a defect"))
        return FrameResult(task.key)


class Nowhere:
    """Worker that cannot be made."""

    def __init__(self, error: Exception) -> None:
        raise error


@pytest.fixture
def by_value():
    """Carry the classes of this module to the workers, which cannot import it."""
    import ray

    module = sys.modules[__name__]
    ray.cloudpickle.register_pickle_by_value(module)
    yield
    ray.cloudpickle.unregister_pickle_by_value(module)


def test_frames_that_fail_or_kill_workers_are_listed_and_the_others_done(pool_of, by_value):
    keys = ["a", "deadly", "b", "large", "broken", "c"]
    tasks = [FrameTask(key, BopImage(Path(), None, None, 1, 1)) for key in keys]
    pool = pool_of(Fragile, workers=1)
    results = {r.key: r for records in pool.results(tasks) for r in records}
    assert sorted(results) == sorted(keys)
    failed = {key: r.failure.message for key, r in results.items() if r.failure}
    assert sorted(failed) == ["broken", "deadly", "large"]
    assert failed["deadly"].startswith(f"{MOST_ATTEMPTS} workers died at this frame")


def test_a_frame_at_which_an_actor_died_is_tried_alone(pool_of, by_value):
    first, other = (Attempt(FrameTask(key, BopImage(Path(), None, None, 1, 1))) for key in "ab")
    pool = pool_of(Fragile, workers=1)
    (member,) = pool._members
    first.suspect = True
    pool._again.append(first)
    member.calls = {"call": other}
    assert pool._next(member, iter([])) is None
    member.calls = {}
    assert pool._next(member, iter([])) is first
    member.calls = {"call": first}
    assert pool._next(member, iter([other.task])) is None


@pytest.mark.parametrize(
    "error", [BackendUnavailable("no weights here"), InvalidConfig("no such option")]
)
def test_work_that_no_machine_can_do_ends_the_run_with_its_reason(pool_of, by_value, error):
    tasks = [FrameTask("a", BopImage(Path(), None, None, 1, 1))]
    with pytest.raises(type(error), match=str(error)):
        list(pool_of(partial(Nowhere, error), workers=1).results(tasks))
