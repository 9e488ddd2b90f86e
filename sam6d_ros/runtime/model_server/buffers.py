"""Memory of one model, allocated once and lent for each call: arrays, pinned arrays, tensors.

`ModelBuffers` has the methods of `detectors.buffers.Buffers`. Nothing is allocated before the
first call, and CUDA is not touched before.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Buffer = TypeVar("Buffer")

ITEM_BYTES = 4  # float32
DEFAULT_KEPT_BYTES = 256 << 20  # eight images of 1080 × 1920 take 199 MB


@dataclass(frozen=True)
class PoolCounts:
    """Loans of a pool since its start.

    Attributes:
        allocated: loans for which memory was allocated.
        reused: loans of memory that was there.
        kept_bytes: memory that waits for the next loan.
    """

    allocated: int
    reused: int
    kept_bytes: int


class BufferPool(Generic[Buffer]):
    """Flat buffers of float32 that are lent in any shape; methods may be called from any thread.

    A loan takes the smallest free buffer that is large enough, so that batches and images of
    different sizes share memory.

    Args:
        allocate: makes a buffer of a number of float32; it can be sliced and reshaped.
        max_kept_bytes: free buffers above this sum are let go, the ones unused for longest first.
    """

    def __init__(
        self, allocate: Callable[[int], Buffer], max_kept_bytes: int = DEFAULT_KEPT_BYTES
    ) -> None:
        self._allocate, self._max_kept_bytes = allocate, max_kept_bytes
        self._free: list[tuple[int, Buffer]] = []  # length and buffer, the last used at the end
        self._allocated = self._reused = 0
        self._lock = threading.Lock()

    @property
    def counts(self) -> PoolCounts:
        """Loans and kept memory."""
        with self._lock:
            return PoolCounts(self._allocated, self._reused, self._kept_bytes())

    @contextmanager
    def lend(self, shape: tuple[int, ...]) -> Iterator[Any]:
        """Lend a buffer of this shape; its values are undefined.

        Args:
            shape: of the buffer.

        Yields:
            The buffer.
        """
        wanted = math.prod(shape)
        length, buffer = self._take(wanted)
        try:
            yield buffer[:wanted].reshape(shape)  # type: ignore[index]
        finally:
            self._give_back(length, buffer)

    def clear(self) -> None:
        """Let go of all free buffers."""
        with self._lock:
            self._free.clear()

    def _take(self, wanted: int) -> tuple[int, Buffer]:
        with self._lock:
            fits = [entry for entry in self._free if entry[0] >= wanted]
            if fits:
                best = min(fits, key=lambda entry: entry[0])
                self._free = [entry for entry in self._free if entry is not best]
                self._reused += 1
                return best
            self._allocated += 1
        return wanted, self._allocate(wanted)

    def _give_back(self, length: int, buffer: Buffer) -> None:
        with self._lock:
            self._free.append((length, buffer))
            while self._kept_bytes() > self._max_kept_bytes:
                del self._free[0]

    def _kept_bytes(self) -> int:
        return ITEM_BYTES * sum(length for length, _ in self._free)


class Cuda(Protocol):
    """Allocation and streams of one CUDA device."""

    def pinned(self, count: int) -> NDArray[np.float32]:
        """Allocate float32 in page-locked memory of the host.

        Args:
            count: number of values.

        Returns:
            (count,) float32.
        """

    def tensor(self, count: int) -> Any:
        """Allocate a flat float32 tensor on the device.

        Args:
            count: number of values.

        Returns:
            (count,) float32.
        """

    def stream(self) -> Callable[[], AbstractContextManager[object]]:
        """Create a stream.

        Returns:
            A function that gives the context in which work goes to the stream.
        """


class TorchCuda:
    """``Cuda`` by torch.

    Args:
        device: as torch names it.
    """

    def __init__(self, device: str) -> None:
        import torch

        self._torch, self._device = torch, device

    def pinned(self, count: int) -> NDArray[np.float32]:
        """Allocate float32 in page-locked memory; the array keeps its tensor alive.

        Args:
            count: number of values.

        Returns:
            (count,) float32.
        """
        array: NDArray[np.float32] = self._torch.empty(count, pin_memory=True).numpy()
        return array

    def tensor(self, count: int) -> Any:
        """Allocate a flat float32 tensor on the device.

        Args:
            count: number of values.

        Returns:
            (count,) float32.
        """
        return self._torch.empty(count, device=self._device)

    def stream(self) -> Callable[[], AbstractContextManager[object]]:
        """Create a stream.

        Returns:
            A function that gives the context in which work goes to the stream.
        """
        stream = self._torch.cuda.Stream(self._device)
        return lambda: self._torch.cuda.stream(stream)


class ModelBuffers:
    """``Buffers`` of one model: pools of its own, and on CUDA a stream of its own by option.

    Args:
        device: `cpu`, or a CUDA device as torch names it.
        use_stream: whether the model runs on a CUDA stream of its own; no effect on the CPU.
        max_kept_bytes: of each pool.
        cuda: gives allocation and streams of the device, at the first call (default: by torch).
    """

    def __init__(
        self,
        device: str = "cpu",
        use_stream: bool = False,
        max_kept_bytes: int = DEFAULT_KEPT_BYTES,
        cuda: Callable[[str], Cuda] = TorchCuda,
    ) -> None:
        self._make_cuda: Callable[[], Cuda] | None = None
        if device.partition(":")[0] == "cuda":
            self._make_cuda = lambda: cuda(device)
        self._use_stream = use_stream
        self._cuda: Cuda | None = None
        self._stream: Callable[[], AbstractContextManager[object]] | None = None
        self.host_pool: BufferPool[Any] = BufferPool(self._host_memory, max_kept_bytes)
        self.device_pool: BufferPool[Any] = BufferPool(self._device_memory, max_kept_bytes)

    def host(self, shape: tuple[int, ...]) -> AbstractContextManager[NDArray[np.float32]]:
        """Return a context that lends an array, in page-locked memory on CUDA.

        Args:
            shape: of the array.
        """
        return self.host_pool.lend(shape)

    def device(self, shape: tuple[int, ...]) -> AbstractContextManager[Any | None]:
        """Return a context that lends a tensor of the device; None on the CPU.

        Args:
            shape: of the tensor.
        """
        return nullcontext() if self._make_cuda is None else self.device_pool.lend(shape)

    def stream(self) -> AbstractContextManager[object]:
        """Return the context of the model's stream; without effect where it has none."""
        if self._make_cuda is None or not self._use_stream:
            return nullcontext()
        if self._stream is None:
            self._stream = self._device_access().stream()
        return self._stream()

    def clear(self) -> None:
        """Let go of all memory and of the stream."""
        self.host_pool.clear()
        self.device_pool.clear()
        self._stream = self._cuda = None

    def _device_access(self) -> Cuda:
        if self._cuda is None:
            assert self._make_cuda is not None  # only called for CUDA
            self._cuda = self._make_cuda()
        return self._cuda

    def _host_memory(self, count: int) -> Any:
        if self._make_cuda is None:
            return np.empty(count, np.float32)
        return self._device_access().pinned(count)

    def _device_memory(self, count: int) -> Any:
        return self._device_access().tensor(count)
