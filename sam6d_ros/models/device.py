"""Where and how networks run: device, precision, and work cut into chunks that fit in memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from sam6d_ros.errors import BackendUnavailable, ResourceExhausted

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")
CPU_BATCH = 4  # measured, with benchmarks.networks
CPU_PIECE_ROWS = 4096  # vectors of some hundred numbers: 4 MB
CUDA_PIECE_ROWS = 1 << 17
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_device(name: str) -> torch.device:
    """The device of "auto" (CUDA when there is one), "cpu" or "cuda[:N]".

    Raises:
        BackendUnavailable: the name is unknown or this machine has no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise BackendUnavailable(
            f"device {name!r} is unknown; use auto, cpu or cuda[:N]"
        ) from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise BackendUnavailable(
            f"device {name!r} is not here: torch {torch.__version__} sees "
            f"{torch.cuda.device_count()} CUDA device(s); use device:=cpu or install a CUDA torch"
        )
    return device


def encoder_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """Reduced type for the image encoders, or None for float32 ("auto": bf16 where it is fast)."""
    if precision == "auto":
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported()
        return torch.bfloat16 if fast else None
    return _DTYPES.get(precision)


@contextmanager
def encoding(dtype: torch.dtype | None, device: torch.device) -> Iterator[None]:
    """No gradients, and automatic mixed precision when ``dtype`` is given."""
    with (
        torch.inference_mode(),
        torch.autocast(device.type, dtype or torch.bfloat16, enabled=dtype is not None),
    ):
        yield


def batch_size(wanted: int, budget_mb: int, item_mb: float, device: torch.device) -> int:
    """How many items go through a network at once.

    As configured; by default (0) as many as fit in the budget on a GPU, and on the CPU at most
    ``CPU_BATCH``: more at once gain nothing there and cost memory (see :func:`piece_length`).
    """
    if wanted:
        return wanted
    fitting = max(1, int(budget_mb / item_mb))
    return min(fitting, CPU_BATCH) if device.type == "cpu" else fitting


def piece_length(item_rows: int, device: torch.device) -> int:
    """How many items with ``item_rows`` vectors of activations each are handled at once.

    On the CPU, few enough for the cache: an array of more than 32 MB is fresh memory from the
    system each time, and its first touch costs as much as the arithmetic.
    """
    rows = CPU_PIECE_ROWS if device.type == "cpu" else CUDA_PIECE_ROWS
    return max(1, rows // item_rows)


def pieces(count: int, item_rows: int, device: torch.device) -> list[slice]:
    """Consecutive slices of ``count`` items, each of a :func:`piece_length`."""
    step = piece_length(item_rows, device)
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


def in_chunks(work: Callable[[slice], _T], count: int, chunk: int, what: str) -> list[_T]:
    """Run ``work`` on consecutive slices of ``count`` items; halve the slices when memory ends.

    Args:
        work: takes a slice of the items, gives its result.
        count: number of items.
        chunk: items per slice to begin with.
        what: name of the items, for the error.

    Raises:
        ResourceExhausted: memory ran out with a single item.
    """
    results: list[_T] = []
    start = 0
    while start < count:
        try:
            results.append(work(slice(start, min(start + chunk, count))))
        except (MemoryError, RuntimeError) as error:
            if not _out_of_memory(error):
                raise
            if chunk == 1:
                raise ResourceExhausted(
                    f"memory ran out with a single {what}: {error}; use a smaller network "
                    "(sam_variant), a smaller image, or device:=cpu"
                ) from error
        else:
            start += chunk
            continue
        # outside the handler: its traceback would keep the tensors of the failed try alive
        chunk = max(1, chunk // 2)
        _LOG.warning("memory ran out; going on with %d %s at once", chunk, what)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return results


def _out_of_memory(error: BaseException) -> bool:
    """CUDA has its own class; the CPU allocator raises a plain RuntimeError."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        "can't allocate memory" in str(error)
    )
