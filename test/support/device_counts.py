"""The stages of the sam6d backend on the pretended device, with small networks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from support.pretend_cuda import DEVICE, Call, PretendCuda, Pretended
from torch.utils._python_dispatch import _disable_current_modes

from sam6d_ros.models import graphs, point_ops, point_ops_cpu, transfer


def move(module: torch.nn.Module) -> torch.nn.Module:
    """Replace all parameters and buffers by pretended ones, in place."""
    for part in module.modules():
        for table in (part._parameters, part._buffers):
            for name, value in table.items():
                if value is not None:
                    table[name] = Pretended(value.detach())  # type: ignore[assignment]
    return module


def kernels(seen: PretendCuda) -> Any:
    """Return the loops of the CPU in place of the Triton kernels."""

    def sample(points: Pretended, order: Pretended, count: int) -> Pretended:
        def work(given: torch.Tensor, ranks: torch.Tensor) -> torch.Tensor:
            cloud = given.float().contiguous().numpy()
            return torch.from_numpy(point_ops_cpu.sample_furthest(cloud, ranks.numpy(), count))

        return seen.external("triton sample", work, points, order)

    def within(queries: Pretended, points: Pretended, limit: float, count: int) -> Pretended:
        def work(*given: torch.Tensor) -> torch.Tensor:
            clouds = (t.float().contiguous().numpy() for t in given)
            return torch.from_numpy(point_ops_cpu.first_within(*clouds, limit, count))

        return seen.external("triton search", work, queries, points)

    return SimpleNamespace(sample_furthest=sample, first_within=within)


def recorder(seen: PretendCuda) -> Callable[..., Any]:
    """Return a recorder of graphs in the place of CUDA's.

    A replay runs no Python of the program, only the recorded launches, into the memory of the
    recording. Refused is what cannot be recorded on a GPU: a wait, a copy from the host.
    """

    def record(
        work: Callable[[], Any], device: torch.device, pool: Any
    ) -> tuple[Any, Callable[[], None], Any]:
        calls: list[Call] = []
        before = seen.events.copy()
        seen.recording = calls
        try:
            found = work()
        finally:
            seen.recording = None
        kinds = ("wait", "pageable", "pinned")
        refused = [key for key in seen.events - before if key[1] in kinds]
        if refused:
            raise AssertionError(f"not while a graph is recorded: {refused}")
        seen.events = before

        def replay() -> None:
            seen.note("launch", "graph")
            with _disable_current_modes():
                for call in calls:
                    call.replay()

        return found, replay, pool or object()

    return record


@contextlib.contextmanager
def pretend() -> Iterator[PretendCuda]:
    """Run the code inside on the pretended device; yield the record of events."""
    with pytest.MonkeyPatch.context() as patch:
        # views of inference tensors cannot be wrapped, and autocast has no such device
        patch.setattr(torch, "inference_mode", lambda on=True: torch.set_grad_enabled(not on))
        patch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
        seen = PretendCuda()
        found = kernels(seen)
        patch.setattr(point_ops, "cuda_kernels", lambda device: found)
        patch.setattr(graphs, "record", recorder(seen))
        for module in (transfer, graphs):
            patch.setattr(module, "pin", seen.pin)
        patch.setattr(transfer, "wait", lambda device: seen.note("wait", "stream"))
        point_ops.tie_order.cache_clear()
        try:
            with seen:
                yield seen
        finally:
            point_ops.tie_order.cache_clear()


def on_device(networks: Any) -> Any:
    """Move networks of a test to the pretended device, in place."""
    for module in (networks.sam.sam, networks.dino, networks.pem):
        move(module)
    return replace(networks, device=DEVICE)
