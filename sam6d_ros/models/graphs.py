"""CUDA graphs: a computation of fixed shapes recorded once, then started as a whole.

The pose network starts 1200 kernels, SAM's encoder 1300, at about 5 µs of the host each. On the CPU
the same computation runs launch by launch. While a graph is recorded nothing may wait for the
device, copy from the host or put a tensor into a cache, so that the computation runs once before.
Tests hold this on the CPU with a recorder in the place of :func:`record`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor

from sam6d_ros.models.device import out_of_memory
from sam6d_ros.models.steps import Done, HostWork, Steps, advance, run
from sam6d_ros.models.transfer import pin, to_device

_LOG = logging.getLogger(__name__)
MOST = 16  # recordings kept of one computation
Program = Callable[..., Steps[tuple[Tensor, ...]]]
Key = tuple[tuple[torch.Size, torch.dtype], ...]


@dataclass(frozen=True)
class _Part:
    """One recorded part, the work of the host after it, and where its results go."""

    replay: Callable[[], None]
    request: HostWork
    given: tuple[Tensor, ...]


@dataclass(frozen=True)
class _Recording:
    """A computation for inputs of certain shapes, with its memory."""

    inputs: tuple[Tensor, ...]
    parts: tuple[_Part, ...]
    last: Callable[[], None]
    outputs: tuple[Tensor, ...]

    def replay(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Run it on inputs of these shapes."""
        _copy(inputs, self.inputs)
        for part in self.parts:
            part.replay()
            _copy(tuple(pin(tensor) for tensor in part.request.on_host()), part.given)
        self.last()
        return self.outputs


class Graphs:
    """Runs one computation; on a GPU by graphs, one set for each set of shapes.

    Record the largest batch first: smaller ones share its inputs' memory. Call it within
    :func:`sam6d_ros.models.exact.inference`, one thread at a time.

    Args:
        program: takes tensors with the batch first, gives the computation.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._recorded: dict[Key, _Recording] = {}
        self._buffers: dict[tuple[int, torch.Size, torch.dtype], Tensor] = {}
        self._pool: Any = None
        self._refused = False

    @property
    def shapes(self) -> int:
        """Number of sets of shapes that are recorded."""
        return len(self._recorded)

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the results; the next call overwrites them on a GPU."""
        if self._refused or inputs[0].device.type == "cpu":
            return run(self._program(*inputs))
        key = tuple((tensor.shape, tensor.dtype) for tensor in inputs)
        if key not in self._recorded:
            plain = run(self._program(*inputs))  # compiles kernels, fills caches
            if not self._keep(key, inputs):
                return plain
        return self._recorded[key].replay(inputs)

    def _keep(self, key: Key, inputs: tuple[Tensor, ...]) -> bool:
        """Record for these shapes; False where the device refuses."""
        try:
            recording = self._record(inputs)
        except (RuntimeError, MemoryError) as error:
            # the end of a recording that broke off may fail too, and hide why
            for cause in (error, error.__context__):
                if cause is not None and out_of_memory(cause):
                    raise cause from None
            self._refused = True
            _LOG.warning("kernels are launched one by one, no graph was recorded: %s", error)
            return False
        if len(self._recorded) >= MOST:
            del self._recorded[next(iter(self._recorded))]
        self._recorded[key] = recording
        return True

    def _record(self, inputs: tuple[Tensor, ...]) -> _Recording:
        device = inputs[0].device
        static = tuple(self._buffer(number, tensor) for number, tensor in enumerate(inputs))
        _copy(inputs, static)
        steps, given = self._program(*static), None
        parts: list[_Part] = []
        while True:
            found, replay, self._pool = record(partial(advance, steps, given), device, self._pool)
            if isinstance(found, Done):
                return _Recording(static, tuple(parts), replay, found.value)
            replay()  # recording computes nothing, and the host needs values
            given = tuple(to_device(tensor, device) for tensor in found.on_host())
            parts.append(_Part(replay, found, given))

    def _buffer(self, number: int, like: Tensor) -> Tensor:
        """Return memory for an input, shared with other sizes of the batch."""
        key = number, like.shape[1:], like.dtype
        if key not in self._buffers or len(self._buffers[key]) < len(like):
            self._buffers[key] = torch.empty(like.shape, dtype=like.dtype, device=like.device)
        return self._buffers[key][: len(like)]


def record(
    work: Callable[[], Any], device: torch.device, pool: Any
) -> tuple[Any, Callable[[], None], Any]:
    """Record what ``work`` launches.

    Args:
        work: launches kernels on the device.
        device: a GPU.
        pool: memory shared with the graphs recorded before, None for the first.

    Returns:
        What ``work`` returned, its tensors being filled by each replay; the replay; the pool.
    """
    graph, stream = torch.cuda.CUDAGraph(), capture_stream(device)
    # torch leaves its stream current when the end of a recording fails; the outer one restores it
    with torch.cuda.device(device), torch.cuda.stream(torch.cuda.current_stream(device)):
        pool = torch.cuda.graph_pool_handle() if pool is None else pool
        # other threads may allocate meanwhile: frames are uploaded and decoded there
        with torch.cuda.graph(graph, pool, stream, capture_error_mode="thread_local"):
            found = work()
    return found, graph.replay, pool


@lru_cache(maxsize=64)
def capture_stream(device: torch.device) -> Any:
    """Return the stream on which graphs of this device are recorded.

    torch's own belongs to the GPU of the first recording; what runs on another GPU would not be
    recorded. Graphs that share a pool share the stream, else they cannot reuse its memory.
    """
    return torch.cuda.Stream(device)


def _copy(sources: tuple[Tensor, ...], targets: tuple[Tensor, ...]) -> None:
    for source, target in zip(sources, targets, strict=True):
        target.copy_(source, non_blocking=True)
