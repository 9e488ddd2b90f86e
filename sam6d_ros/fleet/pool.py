"""Workers of a batch, and the simplest: one in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from sam6d_ros.fleet.results import FrameResult
from sam6d_ros.fleet.tasks import FrameTask


class Worker(Protocol):
    """Worker that takes frames, in this process or elsewhere."""

    def run(self, task: FrameTask) -> FrameResult:
        """Return the result of a frame; errors are part of it."""


class Pool(Protocol):
    """Workers of a batch."""

    def results(self, tasks: Iterable[FrameTask]) -> Iterator[list[FrameResult]]:
        """Work on all frames; yield results as they come, in any order, each frame once.

        A list may be empty: some time has passed.
        """


class LocalPool:
    """One worker in this process.

    Args:
        worker: the worker.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def results(self, tasks: Iterable[FrameTask]) -> Iterator[list[FrameResult]]:
        """Work on the frames one after another."""
        for task in tasks:
            yield [self._worker.run(task)]
