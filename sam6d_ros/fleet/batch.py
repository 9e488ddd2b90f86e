"""Batches of frames: what is done already is left out, results are stored as they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sam6d_ros.fleet.pool import Pool
from sam6d_ros.fleet.results import FrameResult
from sam6d_ros.fleet.shards import ShardFolder
from sam6d_ros.fleet.tasks import FrameTask


def open_tasks(tasks: Iterable[FrameTask], shards: ShardFolder) -> Iterator[FrameTask]:
    """Yield the frames that need work."""
    return (task for task in tasks if not shards.is_done(task.key))


def run_batch(
    pool: Pool, tasks: Iterable[FrameTask], shards: ShardFolder
) -> Iterator[list[FrameResult]]:
    """Work on the frames that need it.

    Whatever ends it, an error or the end of the process, results that were stored stay, and another
    call goes on from there.

    Yields:
        New results, once the shards have them.

    Raises:
        Sam6dError: see ``RayPool.results``.
    """
    for records in pool.results(open_tasks(tasks, shards)):
        shards.add(records)
        yield records
