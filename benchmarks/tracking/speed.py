"""Frames per second of tracking."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from benchmarks.tracking.drift import true_estimate
from benchmarks.tracking.sequences import Sequence
from sam6d_ros.config import TrackingConfig
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.tracking.tracks import TrackedObjects

WARM_UP_FRAMES = 10


@dataclass(frozen=True)
class Speed:
    """Time of one step, milliseconds, and frames per second over all frames.

    ``cpu_ms`` is the processor time of all threads: on a machine that does other work as well,
    it is a better measure than the clock.
    """

    objects: str
    count: int
    median_ms: float
    p95_ms: float
    cpu_ms: float
    fps: float
    size: str


def measure(sequence: Sequence, names: list[str], tracking: Engine) -> Speed:
    """Follow the named objects from their true poses through the frames, already in memory."""
    tracked = TrackedObjects(tracking.track, lambda: sequence.models, TrackingConfig())
    tracked.step(sequence.frames[0])
    tracked.correct(true_estimate(sequence, names))
    for frame in sequence.frames[1:WARM_UP_FRAMES]:
        tracked.step(frame)
    times = []
    cpu = time.process_time()
    for frame in sequence.frames[WARM_UP_FRAMES:]:
        start = time.perf_counter()
        tracked.step(frame)
        times.append(time.perf_counter() - start)
    cpu = time.process_time() - cpu
    camera = sequence.frames[0].camera
    return Speed(
        ", ".join(names), len(names), 1000 * float(np.median(times)),
        1000 * float(np.percentile(times, 95)), 1000 * cpu / len(times), len(times) / sum(times),
        f"{camera.width}×{camera.height}",
    )  # fmt: skip


def table(rows: list[Speed]) -> list[str]:
    """Markdown."""
    lines = [
        "| objects | image | median ms | p95 ms | processor ms | frames per second |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for r in rows:
        what = r.objects if r.count == 1 else str(r.count)
        lines.append(
            f"| {what} | {r.size} | {r.median_ms:.1f} | {r.p95_ms:.1f} | {r.cpu_ms:.1f} | "
            f"{r.fps:.0f} |"
        )
    return lines
