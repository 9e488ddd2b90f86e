"""Actors of a batch: their process, their demands, and the frames that each of them has got."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sam6d_ros.errors import NotReady, Sam6dError
from sam6d_ros.fleet.pool import Worker
from sam6d_ros.fleet.results import FrameResult
from sam6d_ros.fleet.tasks import FrameTask

START_S = 600.0  # without a single loaded actor; a cluster may have to start machines


@dataclass(frozen=True)
class Resources:
    """Demands of each actor, and their number.

    Attributes:
        workers: actors; those that find no room start when machines join the cluster.
        cpus: processor cores of each; it computes with as many threads, at least one.
        gpus: of each; a fraction shares one.
        environment: variables of the actors' processes.
        start_s: longest wait for a first actor.
    """

    workers: int = 1
    cpus: float = 1.0
    gpus: float = 0.0
    environment: Mapping[str, str] = field(default_factory=dict)
    start_s: float = START_S


class Actor:
    """Process of a worker; Ray makes an actor of it.

    Values travel pickled: arrays that Ray unpacks itself are read-only, for which the loops of the
    core would be compiled anew.
    """

    def __init__(self) -> None:
        self._worker: Worker | None = None

    def load(self, packed: bytes) -> None:
        """Make the worker by a pickled function."""
        self._worker = pickle.loads(packed)()

    def run(self, packed: bytes) -> FrameResult:
        """Return the result of a frame."""
        task: FrameTask = pickle.loads(packed)
        if self._worker is None:
            return FrameResult.failed(task.key, NotReady("the worker is not loaded"))
        return self._worker.run(task)


@dataclass(eq=False)
class Member:
    """One actor.

    Attributes:
        handle: of the actor.
        calls: frames that it has got, by the reference of the result, in their order.
        loading: reference of its loading; None while it works.
        lives: processes that it has had.
        unusable: error of a machine on which it cannot load.
    """

    handle: Any
    calls: dict[Any, Attempt] = field(default_factory=dict)
    loading: Any = None
    lives: int = 1
    unusable: Sam6dError | None = None


@dataclass
class Attempt:
    """One frame on its way.

    Attributes:
        task: the frame.
        count: attempts so far.
        life: of the actor that has it, see ``Member.lives``.
        avoid: actor that failed with it.
        suspect: an actor died while it had this frame and perhaps another; it is tried alone.
    """

    task: FrameTask
    count: int = 0
    life: int = 0
    avoid: Member | None = None
    suspect: bool = False
