"""Computations on the device with work of the host between, written as generators.

A computation yields :class:`HostWork` where the host must compute something, and receives its
results on the device. Between two of them the host reads nothing, so that a GPU can record each
part as one graph (``models/graphs.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import Tensor

from sam6d_ros.models.transfer import to_device, to_host

T = TypeVar("T")


@dataclass(frozen=True)
class HostWork:
    """Work of the host on tensors of the device.

    Attributes:
        work: takes the tensors on the host, gives tensors of shapes that depend on theirs alone.
        tensors: of the device.
    """

    work: Callable[..., tuple[Tensor, ...]]
    tensors: tuple[Tensor, ...]

    def on_host(self) -> tuple[Tensor, ...]:
        """Return the results on the host; waits once for the device."""
        return self.work(*to_host(*self.tensors))


@dataclass(frozen=True)
class Done(Generic[T]):
    """Value of a computation that is over."""

    value: T


Given = tuple[Tensor, ...] | None
Steps = Generator[HostWork, tuple[Tensor, ...], T]


def advance(steps: Steps[T], given: Given = None) -> HostWork | Done[T]:
    """Run to the next work of the host, or to the end.

    Args:
        steps: a computation.
        given: results of the last work, on the device; None at the beginning.

    Returns:
        The work, or the value of the computation.
    """
    try:
        return next(steps) if given is None else steps.send(given)
    except StopIteration as stop:
        return Done(stop.value)


def run(steps: Steps[T]) -> T:
    """Run a whole computation, launch by launch."""
    found = advance(steps)
    while isinstance(found, HostWork):
        device = found.tensors[0].device
        given = tuple(to_device(tensor, device) for tensor in found.on_host())
        found = advance(steps, given)
    return found.value


def without_host(work: Callable[..., T]) -> Callable[..., Steps[T]]:
    """Return ``work`` as a computation in which the host does nothing."""

    def steps(*inputs: Tensor) -> Steps[T]:
        yield from ()
        return work(*inputs)

    return steps
