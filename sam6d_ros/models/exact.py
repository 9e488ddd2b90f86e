"""Full float32 for every network call: TF32 and bf16 products and convolutions off meanwhile.

torch computes convolutions on CUDA in TF32 by default, and a host process may allow it for products
too (``torch.set_float32_matmul_precision``). The expanded distances of the pose network lose their
neighbours then, and 99 of its 201 golden arrays fail. The settings belong to the process, not to a
thread: the first call that enters changes them, the last one that leaves restores them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

_LOCK = threading.Lock()
_state = {"depth": 0}
_found: list[tuple[str, bool, list[str]]] = []


@contextmanager
def exact_float32() -> Iterator[None]:
    """Compute in float32 as stated; restore what the process had set."""
    with _LOCK:
        _state["depth"] += 1
        if _state["depth"] == 1:
            _found.append(_settings())
            _set("highest", False, ["ieee"] * len(_places()))
    try:
        yield
    finally:
        with _LOCK:
            _state["depth"] -= 1
            if _state["depth"] == 0:
                _set(*_found.pop())


@contextmanager
def inference() -> Iterator[None]:
    """No gradients, full float32: around all that runs networks or their geometry.

    Mixed precision of the host process is off too: the linear attention of the pose network cubes
    values down to 1e-6, which is 0 in fp16, and divides by their norm.
    """
    with ExitStack() as stack:
        stack.enter_context(exact_float32())
        stack.enter_context(torch.inference_mode())
        for kind in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
            stack.enter_context(torch.autocast(kind, enabled=False))
        yield


def _places() -> list[Any]:
    """Return the per-operator settings of newer torch (2.9), none before."""
    backends = torch.backends
    if not hasattr(backends.cuda.matmul, "fp32_precision"):
        return []
    return [
        backends.cuda.matmul,
        backends.cudnn.conv,
        backends.cudnn.rnn,
        backends.mkldnn.matmul,
        backends.mkldnn.conv,
    ]


def _settings() -> tuple[str, bool, list[str]]:
    """Return the settings of this process."""
    newer = [place.fp32_precision for place in _places()]
    try:
        return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32, newer
    except RuntimeError:  # the host process set the newer ones, and torch refuses to mix
        return "highest", "tf32" in newer[1:2], newer


def _set(products: str, convolutions: bool, newer: list[str]) -> None:
    torch.set_float32_matmul_precision(products)
    torch.backends.cudnn.allow_tf32 = convolutions
    for place, value in zip(_places(), newer, strict=True):
        if place.fp32_precision != value:
            place.fp32_precision = value
