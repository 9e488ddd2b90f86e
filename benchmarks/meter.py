"""Measuring torch code: seconds, their spread and memory, on the CPU and on CUDA."""

from __future__ import annotations

import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

SPREAD_QUANTILES = 10  # the spread is from the 10th to the 90th percentile
WATCH_EVERY_S = 0.01  # how often memory is looked at


@dataclass(frozen=True)
class Measurement:
    """One line of the result.

    Attributes:
        stage: what was run.
        items: proposals, detections, prompts or images.
        mode: precision, chunking or implementation.
        median_s: seconds, median of the runs.
        spread_s: 10th to 90th percentile.
        cpu_s: seconds of processor time of this process, mean of the runs: unlike the others, it
            hardly depends on what else the machine does.
        peak_mb: memory at the peak, above what was held before.
        tflops: achieved rate where the work is known.
    """

    stage: str
    items: int
    mode: str
    median_s: float
    spread_s: tuple[float, float]
    cpu_s: float
    peak_mb: float
    tflops: float | None = None

    def __str__(self) -> str:
        rate = f"{self.tflops:7.3f} TFLOP/s" if self.tflops else ""
        low, high = (f"{second * 1e3:.1f}" for second in self.spread_s)
        return (
            f"{self.stage:24s} {self.items:3d} {self.mode:16s} {self.median_s * 1e3:9.1f} ms "
            f"({low}–{high}), CPU {self.cpu_s * 1e3:9.1f} ms {self.peak_mb:6.0f} MB {rate}"
        )


class Meter:
    """Record of durations."""

    def __init__(self, device: torch.device, repeats: int) -> None:
        self.device, self.repeats = device, repeats
        self.rows: list[Measurement] = []

    def measure(
        self, stage: str, items: int, mode: str, run: Callable[[], Any], flop: float | None = None
    ) -> Any:
        """Warm up once, then take the median of some runs; returns the last result."""
        result = run()
        seconds = []
        busy = time.process_time()
        with peak_memory(self.device) as peak:
            for _ in range(self.repeats):
                result = None  # a run does not start beside the last one's result
                result, took = self.time(run)
                seconds.append(took)
        busy = (time.process_time() - busy) / self.repeats
        median = statistics.median(seconds)
        rate = flop / median / 1e12 if flop else None
        row = Measurement(stage, items, mode, median, spread(seconds), busy, peak[0], rate)
        self.rows.append(row)
        print(row, flush=True)
        return result

    def time(self, run: Callable[[], Any]) -> tuple[Any, float]:
        """Result and seconds: by the clock, or between two events of the GPU's own stream."""
        if self.device.type != "cuda":
            start = time.perf_counter()
            return run(), time.perf_counter() - start
        torch.cuda.synchronize(self.device)
        before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        before.record(torch.cuda.current_stream(self.device))
        result = run()
        after.record(torch.cuda.current_stream(self.device))
        torch.cuda.synchronize(self.device)
        return result, before.elapsed_time(after) / 1e3

    def write(self, path: Path) -> None:
        """The result as JSON."""
        from sam6d_ros.evaluation.report import machine

        cuda = self.device.type == "cuda"
        result = {
            "machine": machine(),
            "load_1min": os.getloadavg()[0],
            "device": str(self.device),
            "gpu": torch.cuda.get_device_name(self.device) if cuda else None,
            "note": "" if cuda else f"CUDA not measured: {without_cuda()}",
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "repeats": self.repeats,
            "rows": [asdict(row) for row in self.rows],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=1) + "\n")
        print(f"written to {path}", file=sys.stderr)


def without_cuda() -> str:
    """Why the CPU was measured."""
    if torch.version.cuda is None:
        return f"torch {torch.__version__} is built without CUDA"
    return "the CPU was asked for" if torch.cuda.is_available() else "torch finds no GPU"


def spread(seconds: list[float]) -> tuple[float, float]:
    """10th and 90th percentile (the extremes of few runs)."""
    if len(seconds) < 2:
        return seconds[0], seconds[0]
    cuts = statistics.quantiles(seconds, n=SPREAD_QUANTILES, method="inclusive")
    return cuts[0], cuts[-1]


def resident_mb() -> float:
    """Memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def peak_memory(device: torch.device) -> Iterator[list[float]]:
    """Gives a list whose entry is, at the end, the largest growth in megabytes."""
    peak = [0.0]
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        yield peak
        peak[0] = (torch.cuda.max_memory_allocated(device) - before) / 2**20
        return
    start, done = resident_mb(), threading.Event()

    def watch() -> None:
        while not done.wait(WATCH_EVERY_S):
            peak[0] = max(peak[0], resident_mb() - start)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()
