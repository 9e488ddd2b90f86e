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
    reporting_memory,
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
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("Triton Error [CUDA]: out of memory"),
]


@pytest.mark.parametrize(
    "error", ERRORS, ids=["cuda", "cpu", "python", "driver", "cublas", "cudnn", "triton"]
)
def test_out_of_memory_halves_the_chunk(error: Exception) -> None:
    work = Memory(3, error)
    parts = in_chunks(work, 11, 8, "things")
    assert [i for part in parts for i in part] == list(range(11))
    assert work.sizes == [8, 4, 2, 2, 2, 2, 2, 1]


def test_the_next_frame_begins_with_the_chunk_that_fitted() -> None:
    """Else every frame runs out of memory again."""
    fitting: dict[str, int] = {}
    in_chunks(Memory(3, ERRORS[0]), 11, 8, "things", fitting)
    work = Memory(3, ERRORS[0])
    in_chunks(work, 5, 8, "things", fitting)
    assert work.sizes == [2, 2, 1]
    other = Memory(9, ERRORS[0])
    in_chunks(other, 8, 8, "others", fitting)
    assert other.sizes == [8]


def test_a_single_item_too_large_is_reported() -> None:
    with pytest.raises(ResourceExhausted, match="single thing"):
        in_chunks(Memory(0, ERRORS[0]), 4, 4, "thing")


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="shape"):
        in_chunks(Memory(0, RuntimeError("shape mismatch")), 4, 4, "things")


def test_memory_that_ends_outside_of_chunks_is_reported() -> None:
    """Else it counts as a defect of the program, without a remedy."""
    with (
        pytest.raises(ResourceExhausted, match=r"with the masks.*device:=cpu"),
        reporting_memory("the masks"),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory")
    with (
        pytest.raises(ResourceExhausted, match="ran out with a single thing"),
        reporting_memory("the masks"),
    ):
        in_chunks(Memory(0, ERRORS[3]), 4, 4, "thing")
    with pytest.raises(RuntimeError, match="shape"), reporting_memory("the masks"):
        raise RuntimeError("shape mismatch")


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


@pytest.mark.parametrize(("capability", "dtype"), [((7, 5), None), ((8, 0), torch.bfloat16)])
def test_automatic_precision_takes_bf16_of_the_chosen_gpu_only(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], dtype: torch.dtype | None
) -> None:
    """torch says yes for GPUs that emulate it, and about the current device, not this one."""
    asked = []
    monkeypatch.setattr(
        torch.cuda, "get_device_capability", lambda device: asked.append(device) or capability
    )
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: True)
    assert encoder_dtype("auto", torch.device("cuda:1")) == dtype
    assert asked == [torch.device("cuda:1")]
