"""Memory of the input tensors of a detector, and the CUDA stream of its calls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Buffers(Protocol):
    """Source of memory for the calls of one detector."""

    def host(self, shape: tuple[int, ...]) -> AbstractContextManager[NDArray[np.float32]]:
        """Lend a contiguous float32 array of this shape; its values are undefined."""

    def device(self, shape: tuple[int, ...]) -> AbstractContextManager[Any | None]:
        """Lend a float32 tensor of this shape on the device; None: the runner makes its own."""

    def stream(self) -> AbstractContextManager[object]:
        """Return the context in which the model runs."""


class FreshBuffers:
    """``Buffers`` that allocates an array for each call, on the CPU, without a stream."""

    @contextmanager
    def host(self, shape: tuple[int, ...]) -> Iterator[NDArray[np.float32]]:
        """Lend a new array."""
        yield np.empty(shape, np.float32)

    def device(self, shape: tuple[int, ...]) -> AbstractContextManager[None]:
        """Lend no tensor."""
        return nullcontext()

    def stream(self) -> AbstractContextManager[None]:
        """Return a context without effect."""
        return nullcontext()
