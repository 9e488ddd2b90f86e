"""Time and memory of the sam6d networks, stage by stage: ``python -m benchmarks.networks``.

Weights are random: time does not depend on them. For 1, 4 and 16 proposals or detections, in
float32 and in reduced precision, at once and in chunks of one, and the point operators plain
and accelerated. On CUDA every measurement is synchronised; peak memory is the allocator's there
and the process's growth on the CPU. Prints a table and writes JSON with the machine named.
"""

from __future__ import annotations

import argparse
import json
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

from sam6d_ros.evaluation.report import machine
from sam6d_ros.models import point_ops
from sam6d_ros.models.device import encoding, in_chunks, resolve_device
from sam6d_ros.models.dinov2 import DinoV2
from sam6d_ros.models.pem import ObjectCode, PoseEstimationModel
from sam6d_ros.models.sam import SHAPES, build_sam

SPREAD_QUANTILES = 10  # the spread is from the 10th to the 90th percentile
# Multiply-adds times two of the published shapes: what the encoders cannot go below.
FLOP = {"sam vit_h": 2.98e12, "sam vit_l": 1.49e12, "sam vit_b": 4.9e11, "dinov2": 8.1e10}
WATCH_EVERY_S = 0.01  # how often memory is looked at


@dataclass(frozen=True)
class Measurement:
    """One line of the result.

    Attributes:
        stage: what was run.
        items: proposals, detections or images.
        mode: precision, chunking or implementation.
        median_s: seconds, median of the runs.
        spread_s: 10th to 90th percentile.
        peak_mb: memory at the peak, above what was held before.
        tflops: achieved rate where the work is known.
    """

    stage: str
    items: int
    mode: str
    median_s: float
    spread_s: tuple[float, float]
    peak_mb: float
    tflops: float | None = None


class Meter:
    """Runs things and remembers how long they took."""

    def __init__(self, device: torch.device, repeats: int) -> None:
        self.device, self.repeats = device, repeats
        self.rows: list[Measurement] = []

    def measure(
        self, stage: str, items: int, mode: str, run: Callable[[], Any], flop: float | None = None
    ) -> Any:
        """Warm up once, then take the median of some runs; returns the last result."""
        result = run()
        seconds = []
        with peak_memory(self.device) as peak:
            for _ in range(self.repeats):
                self.synchronise()
                start = time.perf_counter()
                result = run()
                self.synchronise()
                seconds.append(time.perf_counter() - start)
        median = statistics.median(seconds)
        rate = flop / median / 1e12 if flop else None
        row = Measurement(stage, items, mode, median, spread(seconds), peak[0], rate)
        self.rows.append(row)
        print(line(row), flush=True)
        return result

    def synchronise(self) -> None:
        """Wait for the GPU."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def spread(seconds: list[float]) -> tuple[float, float]:
    """10th and 90th percentile (the extremes of few runs)."""
    if len(seconds) < 2:
        return seconds[0], seconds[0]
    cuts = statistics.quantiles(seconds, n=SPREAD_QUANTILES, method="inclusive")
    return cuts[0], cuts[-1]


def line(row: Measurement) -> str:
    """One line of the table."""
    rate = f"{row.tflops:7.3f} TFLOP/s" if row.tflops else ""
    return (
        f"{row.stage:28s} {row.items:3d} {row.mode:10s} {row.median_s * 1e3:10.1f} ms "
        f"({row.spread_s[0] * 1e3:.1f}–{row.spread_s[1] * 1e3:.1f}) {row.peak_mb:8.0f} MB {rate}"
    )


def resident_mb() -> float:
    """Memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


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


def bench_sam(meter: Meter, variant: str, dtypes: dict[str, torch.dtype | None]) -> None:
    """Image encoder, and masks of 64 prompts."""
    sam = build_sam(SHAPES[variant]).to(meter.device)
    image = torch.zeros(1, 3, 1024, 1024, device=meter.device)
    for mode, dtype in dtypes.items():

        def encode(dtype: torch.dtype | None = dtype) -> torch.Tensor:
            with encoding(dtype, meter.device):
                return sam.image_encoder(image).float()

        name = f"sam {variant}"
        features = meter.measure(f"{name} encode", 1, mode, encode, FLOP[name])
    points = torch.rand(64, 1, 2, device=meter.device) * 1024
    labels = torch.ones(64, 1, dtype=torch.int32, device=meter.device)

    @torch.inference_mode()
    def decode() -> torch.Tensor:
        sparse, dense = sam.prompt_encoder(points=(points, labels), boxes=None, masks=None)
        position = sam.prompt_encoder.get_dense_pe()
        low, _ = sam.mask_decoder(features, position, sparse, dense, multimask_output=True)
        return low

    low = meter.measure("sam decode", 64, "float32", decode)
    size = (768, 1024), (480, 640)
    meter.measure("sam upscale masks", 192, "float32", lambda: sam.postprocess_masks(low, *size))


def bench_dino(meter: Meter, counts: list[int], dtypes: dict[str, torch.dtype | None]) -> None:
    """Descriptors of crops, at once and one by one."""
    network = DinoV2().eval().to(meter.device)
    for count in counts:
        crops = torch.rand(count, 3, 224, 224, device=meter.device)
        for mode, dtype in dtypes.items():
            for chunk, suffix in chunkings(count):

                def describe(
                    crops: torch.Tensor = crops, dtype: Any = dtype, chunk: int = chunk
                ) -> Any:
                    with encoding(dtype, meter.device):
                        return in_chunks(lambda p: network(crops[p]), len(crops), chunk, "crops")

                flop = FLOP["dinov2"] * count
                meter.measure("dinov2 describe", count, mode + suffix, describe, flop)


def chunkings(count: int) -> list[tuple[int, str]]:
    """All at once, and one by one when that differs."""
    return [(count, "")] + ([(1, " by one")] if count > 1 else [])


def bench_pem(meter: Meter, counts: list[int], dtypes: dict[str, torch.dtype | None]) -> None:
    """The stages of pose estimation, and all of it at once and one by one."""
    pem = PoseEstimationModel().eval().requires_grad_(False).to(meter.device)
    random = torch.Generator().manual_seed(0)

    def rand(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=random).to(meter.device)

    with torch.inference_mode():
        obj = pem.encode_object(rand(1, 2048, 3) - 0.5, rand(1, 2048, 256), rand(1, 1024, 3) - 0.5)
        for count in counts:
            crops = (rand(count, 224, 224, 3) * 255).to(torch.uint8)
            index = (rand(count, 2048) * 224 * 224).long()
            cloud = (rand(count, 2048, 3) - 0.5) + torch.tensor([0.0, 0, 5], device=meter.device)
            for mode, dtype in dtypes.items():

                def extract(crops: Any = crops, index: Any = index, dtype: Any = dtype) -> Any:
                    with encoding(dtype, meter.device):
                        return pem.feature_extraction(crops, index).float()

                features = meter.measure("pem image features", count, mode, extract)
            bench_matching(meter, pem, obj, features, cloud, rand(count, 18000))


def bench_matching(
    meter: Meter,
    pem: PoseEstimationModel,
    obj: ObjectCode,
    features: torch.Tensor,
    cloud: torch.Tensor,
    uniforms: torch.Tensor,
) -> None:
    """Everything after the image features, in float32."""
    count, mode = len(cloud), "float32"
    obs = meter.measure(
        "pem geometric embedding",
        count,
        mode,
        lambda: pem.encode_observation(cloud, features, obj.radius),
    )
    logits = meter.measure("pem coarse logits", count, mode, lambda: pem.coarse_logits(obs, obj))
    pose = meter.measure(
        "pem hypotheses", count, mode, lambda: pem.coarse_pose(logits, obs, obj, uniforms)
    )
    fine = meter.measure(
        "pem fine logits",
        count,
        mode,
        lambda: pem.fine_logits(obs, obj, pose.rotation, pose.translation),
    )
    meter.measure("pem fine pose", count, mode, lambda: pem.fine_pose(fine, obs, obj))
    for chunk, suffix in chunkings(count):
        meter.measure(
            "pem all after features",
            count,
            mode + suffix,
            lambda chunk=chunk: in_chunks(
                lambda p: pem.predict(features[p], cloud[p], obj, uniforms[p]),
                count,
                chunk,
                "poses",
            ),
        )


def bench_point_ops(meter: Meter, counts: list[int]) -> None:
    """Point operators: torch alone against the form that this device takes."""
    ball = (0.1, 0.2), (32, 64)
    for count in counts:
        points = torch.rand(count, 2048, 3, device=meter.device)
        for mode, sample, query in (
            ("plain", point_ops.plain_sampling, point_ops.plain_ball_queries),
            ("fast", point_ops.furthest_point_sampling, point_ops.ball_queries),
        ):
            meter.measure("sample 196 of 2048", count, mode, lambda s=sample, p=points: s(p, 196))
            meter.measure("two ball queries", count, mode, lambda q=query, p=points: q(p, p, *ball))


def main() -> int:
    """Run and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.networks", description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sam", choices=sorted(SHAPES), default="vit_h")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--precisions", nargs="+", choices=DTYPES, default=["float32", "bf16"])
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's)")
    parser.add_argument("--out", type=Path, default=Path("bench_out/networks.json"))
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    meter = Meter(resolve_device(options.device), options.repeats)
    dtypes = {name: DTYPES[name] for name in options.precisions}
    if "points" in options.parts:
        bench_point_ops(meter, options.counts)
    if "pem" in options.parts:
        bench_pem(meter, options.counts, dtypes)
    if "dino" in options.parts:
        bench_dino(meter, options.counts, dtypes)
    if "sam" in options.parts:
        bench_sam(meter, options.sam, dtypes)
    write(meter, options.out)
    return 0


PARTS = ("points", "pem", "dino", "sam")
DTYPES = {"float32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def write(meter: Meter, path: Path) -> None:
    """The result as JSON."""
    gpu = torch.cuda.get_device_name(meter.device) if meter.device.type == "cuda" else None
    result = {
        "machine": machine(),
        "gpu": gpu,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "repeats": meter.repeats,
        "rows": [asdict(row) for row in meter.rows],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"written to {path}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
