"""Where and how networks run: device, precision, and work cut into chunks that fit in memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from sam6d_ros.errors import BackendUnavailable, ResourceExhausted
from sam6d_ros.models.exact import inference

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")
CPU_BATCH = 4  # measured, with benchmarks.networks
CPU_PIECE_ROWS = 4096  # vectors of some hundred numbers: 4 MB
CUDA_PIECE_ROWS = 1 << 17
BF16_CAPABILITY = (8, 0)  # Ampere
OUT_OF_MEMORY = (  # in errors that are plain RuntimeErrors
    "can't allocate memory",  # the CPU's allocator
    "CUDA error: out of memory",  # the driver
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    "Triton Error [CUDA]: out of memory",
)
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_device(name: str) -> torch.device:
    """Return the device of "auto" (CUDA if there is one), "cpu" or "cuda[:N]".

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
        return torch.bfloat16 if device.type == "cuda" and has_bf16(device) else None
    return _DTYPES.get(precision)


def has_bf16(device: torch.device) -> bool:
    """Whether this GPU computes in bf16 itself; older ones emulate it, slower than float32."""
    if torch.version.hip is not None:
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cuda.get_device_capability(device) >= BF16_CAPABILITY


@contextmanager
def encoding(dtype: torch.dtype | None, device: torch.device) -> Iterator[None]:
    """:func:`inference`, and automatic mixed precision when ``dtype`` is given."""
    with (
        inference(),
        torch.autocast(device.type, dtype or torch.bfloat16, enabled=dtype is not None),
    ):
        yield


def batch_size(
    wanted: int, budget_mb: int, item_mb: float, device: torch.device, most: int = 1 << 30
) -> int:
    """Return the number of items that go through a network at once.

    As configured; by default (0) as many as fit in the budget on a GPU, but not over ``most``, and
    on the CPU at most ``CPU_BATCH``: more at once gain nothing there and cost memory (see
    :func:`piece_length`).
    """
    if wanted:
        return wanted
    fitting = max(1, int(budget_mb / item_mb))
    return min(fitting, CPU_BATCH if device.type == "cpu" else most)


def padded(count: int, most: int, device: torch.device) -> int:
    """Return how many items go through a network in place of ``count``, at most ``most``.

    On a GPU 1, 2, 4, …, so that few shapes occur: each costs a graph, and a compiled network is
    compiled for it.
    """
    return count if device.type == "cpu" else min(1 << (count - 1).bit_length(), most)


def batch_sizes(most: int, device: torch.device) -> list[int]:
    """Return all values of :func:`padded`, the largest first; none on the CPU."""
    if device.type == "cpu":
        return []
    return sorted({padded(count, most, device) for count in range(1, most + 1)}, reverse=True)


def piece_length(item_rows: int, device: torch.device) -> int:
    """Return the number of items with ``item_rows`` vectors of activations that run at once.

    On the CPU, few enough for the cache: an array of more than 32 MB is fresh memory from the
    system each time, and its first touch costs as much as the arithmetic.
    """
    rows = CPU_PIECE_ROWS if device.type == "cpu" else CUDA_PIECE_ROWS
    return max(1, rows // item_rows)


def pieces(count: int, item_rows: int, device: torch.device) -> list[slice]:
    """Consecutive slices of ``count`` items, each of a :func:`piece_length`."""
    step = piece_length(item_rows, device)
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


def in_chunks(
    work: Callable[[slice], _T],
    count: int,
    chunk: int,
    what: str,
    fitting: dict[str, int] | None = None,
    checkpoint: Callable[[], None] = lambda: None,
) -> list[_T]:
    """Run ``work`` on consecutive slices of ``count`` items; halve the slices when memory ends.

    Args:
        work: takes a slice of the items, gives its result.
        count: number of items.
        chunk: items per slice to begin with.
        what: name of the items, for the error.
        fitting: by the name of the items what was left after halving; kept by the caller, so that
            the next frame does not run out of memory again.
        checkpoint: called before each slice; raises to end the work.

    Returns:
        The results, in order.

    Raises:
        ResourceExhausted: memory ran out with a single item.
        MemoryError: raised by ``work`` for another reason.
        RuntimeError: likewise.
    """
    fitting = {} if fitting is None else fitting
    chunk = min(chunk, fitting.get(what, chunk))
    results: list[_T] = []
    start = 0
    while start < count:
        checkpoint()
        try:
            results.append(work(slice(start, min(start + chunk, count))))
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            if chunk == 1:
                raise ResourceExhausted(_remedy(f"a single {what}", error)) from error
        else:
            start += chunk
            continue
        # outside the handler: its traceback would keep the tensors of the failed try alive
        chunk = fitting[what] = max(1, chunk // 2)
        _LOG.warning("out of memory; retrying with batches of %d %s", chunk, what)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return results


@contextmanager
def reporting_memory(what: str) -> Iterator[None]:
    """Report that memory ran out in a part that has no chunks to halve, with the remedy.

    Args:
        what: name of the part.

    Raises:
        ResourceExhausted: instead of the error of the allocator.
        Exception: another error of the part, as it is.
    """
    try:
        yield
    except Exception as error:
        if not out_of_memory(error):
            raise
        raise ResourceExhausted(_remedy(what, error)) from error


def _remedy(what: str, error: BaseException) -> str:
    return (
        f"memory ran out with {what}: {error}; use a smaller network "
        "(sam_variant), a smaller image, or device:=cpu"
    )


def out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out: CUDA's allocator has its own class, the others have words."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)
