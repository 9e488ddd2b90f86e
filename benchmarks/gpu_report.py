"""Machine, summaries, counts and bars of ``benchmarks.gpu``."""

from __future__ import annotations

import platform
import statistics
import subprocess
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from benchmarks.meter import spread
from sam6d_ros.models import transfer
from sam6d_ros.models.exact import exact_float32
from sam6d_ros.runtime.memory import free_memory

# Limits of one frame on an H100 or H200; the ratio is to the original's way in the same run.
FRAME_MS = {"1": 150.0, "16": 180.0}
TIMES_FASTER = 6.0
PEAK_GB = {"quality": 9.0, "fast": 4.0}
FIRST_FRAME_S = 2.0  # after warm-up


def summary(taken_ms: list[float]) -> dict[str, Any]:
    """Return median, 10th and 90th percentile of some milliseconds."""
    return {
        "median_ms": round(statistics.median(taken_ms), 3),
        "spread_ms": [round(value, 3) for value in spread(taken_ms)],
        "runs": len(taken_ms),
    }


def machine(device: torch.device) -> dict[str, Any]:
    """Return the card or the processor, the versions, and the TF32 settings found and used."""
    found: dict[str, Any] = {
        "device": str(device),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "tf32_found": tf32(),
    }
    with exact_float32():
        found["tf32_used"] = tf32()
    if device.type != "cuda":
        return found | {"card": None, "note": "the CPU was measured with small counts"}
    card = torch.cuda.get_device_properties(device)
    capability = f"{card.major}.{card.minor}"
    memory = card.total_memory // 2**20
    return found | {"card": card.name, "capability": capability, "memory_mb": memory} | clocks()


def tf32() -> dict[str, bool]:
    """Return whether convolutions and products may use TF32."""
    return {
        "convolutions": torch.backends.cudnn.allow_tf32,
        "products": torch.backends.cuda.matmul.allow_tf32,
    }


def clocks() -> dict[str, str]:
    """Return driver and clocks by nvidia-smi, or nothing where it does not run."""
    fields = ("driver_version", "clocks.sm", "clocks.max.sm", "power.limit")
    command = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    values = done.stdout.splitlines()[0].split(", ")
    return dict(zip(fields, values, strict=False))


def bars(out: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return each bar that was measured: value, limit, and whether it holds.

    Args:
        out: results of a GPU.
    """
    found = {}

    def add(name: str, value: float, limit: float, holds: bool) -> None:
        found[name] = {"value": round(value, 3), "limit": limit, "holds": holds}

    first = out["end_to_end"].get("start", {}).get("first_frame_s")
    if first is not None:
        add("first frame, s", first, FIRST_FRAME_S, first <= FIRST_FRAME_S)
    for count, limit in FRAME_MS.items():
        row = out["end_to_end"].get(f"quality, {count}")
        if row:
            value = row["median_ms"]
            add(f"ms of {count} detections", value, limit, value <= limit)
    for count, row in out["ratio"].items():
        if "times_faster" in row:
            value = row["times_faster"]
            add(f"times faster, {count}", value, TIMES_FASTER, value >= TIMES_FASTER)
    for preset, limit in PEAK_GB.items():
        rows = [row for name, row in out["memory"].items() if name.split(",")[0] == preset]
        if rows:
            value = max(row["peak_reserved_mb"] for row in rows) / 1024
            add(f"peak GB, {preset}", value, limit, value <= limit)
    return found


def forget_memory(device: torch.device) -> None:
    """Free what earlier parts of the benchmark left, and let the peak begin anew.

    Args:
        device: of the networks.
    """
    free_memory()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> dict[str, float]:
    """Return the peaks of a GPU since :func:`forget_memory`; graphs are in the reserved one alone.

    Args:
        device: a GPU.
    """
    return {
        "peak_allocated_mb": torch.cuda.max_memory_allocated(device) / 2**20,
        "peak_reserved_mb": torch.cuda.max_memory_reserved(device) / 2**20,
    }


def counted(run: Callable[[], Any]) -> dict[str, int]:
    """Return launches, waits and copies of one run on CUDA, by torch's profiler.

    Args:
        run: one frame or stage.
    """
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        run()
    calls = {event.key: event.count for event in seen.key_averages()}

    def total(*names: str) -> int:
        return sum(n for key, n in calls.items() if any(name in key for name in names))

    return {
        "launches": total("cudaLaunchKernel", "cuLaunchKernel", "cudaGraphLaunch"),
        "waits": total("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSync"),
        "copies": total("cudaMemcpyAsync"),
    }


def unplanned_wait(run: Callable[[], Any]) -> str:
    """Return the first wait of one run that is no read of results, or "none".

    Args:
        run: one frame whose shapes ran before.
    """
    before, planned = torch.cuda.get_sync_debug_mode(), transfer.wait

    def wait(device: torch.device) -> None:
        torch.cuda.set_sync_debug_mode(before)
        planned(device)
        torch.cuda.set_sync_debug_mode("error")

    transfer.wait = wait  # the mode refuses it too
    torch.cuda.set_sync_debug_mode("error")
    try:
        run()
    except RuntimeError as error:
        return "".join(traceback.format_exception(error)[-2:])
    finally:
        torch.cuda.set_sync_debug_mode(before)
        transfer.wait = planned
    return "none"


@contextmanager
def tf32_default() -> Iterator[None]:
    """Run with the TF32 settings that a fresh torch has: convolutions yes, products no."""
    flags = torch.backends.cudnn, torch.backends.cuda.matmul
    found = [flag.allow_tf32 for flag in flags]
    flags[0].allow_tf32, flags[1].allow_tf32 = True, False
    try:
        yield
    finally:
        for flag, value in zip(flags, found, strict=True):
            flag.allow_tf32 = value
