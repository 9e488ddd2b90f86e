"""Devices, and work in chunks that survives running out of memory."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the networks need torch: make setup-sam6d")

from sam6d_ros.errors import BackendUnavailable, ResourceExhausted  # noqa: E402
from sam6d_ros.models.device import (  # noqa: E402
    CPU_BATCH,
    batch_size,
    encoder_dtype,
    in_chunks,
    pieces,
    resolve_device,
)


class Memory:
    """Work that fits at most ``room`` items."""

    def __init__(self, room: int, error: Exception) -> None:
        self.room, self.error = room, error
        self.sizes: list[int] = []

    def __call__(self, part: slice) -> list[int]:
        self.sizes.append(part.stop - part.start)
        if part.stop - part.start > self.room:
            raise self.error
        return list(range(part.start, part.stop))


ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried …"),
    MemoryError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=["cuda", "cpu", "python"])
def test_out_of_memory_halves_the_chunk(error: Exception) -> None:
    work = Memory(3, error)
    parts = in_chunks(work, 11, 8, "things")
    assert [i for part in parts for i in part] == list(range(11))
    assert work.sizes == [8, 4, 2, 2, 2, 2, 2, 1]


def test_a_single_item_too_large_is_reported() -> None:
    with pytest.raises(ResourceExhausted, match="single thing"):
        in_chunks(Memory(0, ERRORS[0]), 4, 4, "thing")


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="shape"):
        in_chunks(Memory(0, RuntimeError("shape mismatch")), 4, 4, "things")


def test_nothing_to_do() -> None:
    assert in_chunks(Memory(0, ERRORS[0]), 0, 4, "things") == []


def test_batch_size() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert batch_size(7, 1000, 300, cpu) == 7  # as configured
    assert batch_size(0, 1000, 300, gpu) == 3
    assert batch_size(0, 100, 300, gpu) == 1
    assert batch_size(0, 10**6, 1, cpu) == CPU_BATCH
    assert batch_size(0, 100, 300, cpu) == 1


def test_pieces_cover_everything_once() -> None:
    for count, item_rows in ((0, 5), (10, 10**9), (9001, 7), (5, 1)):
        parts = pieces(count, item_rows, torch.device("cpu"))
        assert [i for part in parts for i in range(part.start, part.stop)] == list(range(count))


def test_devices() -> None:
    assert resolve_device("cpu") == torch.device("cpu")
    with pytest.raises(BackendUnavailable, match="unknown"):
        resolve_device("gpu")
    with pytest.raises(BackendUnavailable, match="not here"):
        resolve_device(f"cuda:{torch.cuda.device_count()}")


def test_precision() -> None:
    cpu = torch.device("cpu")
    assert encoder_dtype("auto", cpu) is None
    assert encoder_dtype("float32", cpu) is None
    assert encoder_dtype("bf16", cpu) == torch.bfloat16
    assert encoder_dtype("fp16", cpu) == torch.float16
