"""Copies between host and device: without a wait upwards, with one wait for all downwards."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F


def to_device(value: NDArray[Any] | Tensor, device: torch.device) -> Tensor:
    """Copy to the device; from pinned memory, so that the host goes on meanwhile.

    On the CPU the result shares memory with the array, unless torch cannot: read-only arrays and
    mirrored ones (negative strides) are copied.

    Returns:
        The tensor on the device.
    """
    tensor = _from_numpy(value) if isinstance(value, np.ndarray) else value
    if device.type == "cpu":
        return tensor
    return pin(tensor).to(device, non_blocking=True)


def _from_numpy(value: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.require(value, requirements=["C", "W"]))


def to_host(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Copy tensors of one device to the host and wait once for all of them."""
    device = tensors[0].device
    if device.type == "cpu":
        return tensors
    found = tuple(tensor.to("cpu", non_blocking=True) for tensor in tensors)  # into pinned memory
    wait(device)
    return found


def pack(masks: Tensor) -> Tensor:
    """Return (N, …) bool masks as (N, bytes) uint8, eight pixels a byte; as they are on the CPU.

    They leave the device by an eighth of the bytes; :func:`unpack` takes them on the host.
    """
    if masks.device.type == "cpu":
        return masks
    return _bytes(masks.flatten(1))


def _bytes(flat: Tensor) -> Tensor:
    """Return (N, bytes) uint8 of (N, pixels) bool; one byte a pixel meanwhile."""
    padded = F.pad(flat, (0, -flat.shape[1] % 8)).view(torch.uint8)
    shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=flat.device)
    return (padded.unflatten(1, (-1, 8)) << shifts).sum(-1, dtype=torch.uint8)


def unpack(packed: Tensor, size_hw: Sequence[int]) -> NDArray[np.bool_]:
    """Return (N, H, W) bool masks of what :func:`pack` gave, both on the host."""
    if packed.dtype == torch.bool:
        return packed.numpy()
    height, width = size_hw
    bits = np.unpackbits(packed.numpy(), axis=1, count=height * width)
    return bits.view(bool).reshape(-1, height, width)


@lru_cache(maxsize=64)
def constant(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Return numbers as a float32 tensor of the device, copied there once."""
    with torch.inference_mode(False):  # usable in training too
        return to_device(torch.tensor(values), device)


def pin(tensor: Tensor) -> Tensor:
    """Return a copy in pinned memory, which torch keeps for reuse."""
    return tensor.pin_memory()


def wait(device: torch.device) -> None:
    """Wait for what was started on the device so far."""
    torch.cuda.current_stream(device).synchronize()
