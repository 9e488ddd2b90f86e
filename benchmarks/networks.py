"""Time and memory of the sam6d networks, stage by stage: ``python -m benchmarks.networks``.

Weights are random: time does not depend on them. For 1, 4 and 16 proposals or detections, in
float32 and in reduced precision, at once, one by one and as the backend does it, and the point
operators plain and accelerated. On CUDA every measurement is synchronised; peak memory is the
allocator's there and the process's growth on the CPU. Prints a table and writes JSON with the
machine named.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.meter import Meter
from sam6d_ros.models import point_ops
from sam6d_ros.models.device import batch_size, encoding, in_chunks, resolve_device
from sam6d_ros.models.dinov2 import DinoV2
from sam6d_ros.models.pem import ObjectCode, PoseEstimationModel
from sam6d_ros.models.sam_cut import stability
from sam6d_ros.models.sam_decoder import SharedDecoder
from sam6d_ros.models.sam_network import SHAPES, build_sam
from sam6d_ros.stages.sam6d.settings import Sam6dConfig

# Multiply-adds times two, by torch's FLOP counter on meta tensors (test_benchmark.py).
FLOP = {"sam vit_h": 5.96e12, "sam vit_l": 2.99e12, "sam vit_b": 9.7e11, "dinov2": 1.62e11}
PARTS = ("points", "pem", "dino", "sam")
DTYPES = {"float32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
Dtypes = dict[str, "torch.dtype | None"]


def chunkings(count: int, device: torch.device) -> Iterator[tuple[int, str]]:
    """All at once, one by one, and what the backend would take on the CPU if that is neither."""
    yield count, ""
    if count > 1:
        yield 1, " by one"
    usual = batch_size(0, Sam6dConfig.memory_budget_mb, 1, device)
    if 1 < usual < count:
        yield usual, f" by {usual}"


def chunked(run: Callable[[slice], Any], count: int, chunk: int) -> Callable[[], Any]:
    """The work in chunks."""
    return lambda: in_chunks(run, count, chunk, "items")


def bench_sam(meter: Meter, variant: str, counts: list[int], dtypes: Dtypes) -> None:
    """Image encoder, masks of some prompts, and their cut at the size of the image."""
    sam = build_sam(SHAPES[variant]).requires_grad_(False).to(meter.device)
    image = torch.zeros(1, 3, 1024, 1024, device=meter.device)
    features = None
    for mode, dtype in dtypes.items():

        def encode(dtype: torch.dtype | None = dtype) -> torch.Tensor:
            with encoding(dtype, meter.device):
                return sam.image_encoder(image).float()

        name = f"sam {variant}"
        features = meter.measure(f"{name} encode", 1, mode, encode, FLOP[name])
    for count in counts:
        points = torch.rand(count, 2, device=meter.device) * 1024

        @torch.inference_mode()
        def decode(chunk: int, points: Any = points, dtype: Any = None) -> list[torch.Tensor]:
            decoder = SharedDecoder(sam, features, dtype)

            def masks(part: slice) -> torch.Tensor:
                decoded = decoder.attend(points[part])
                rows = torch.arange(len(decoded.quality), device=meter.device)
                every = torch.arange(3 * len(rows), device=meter.device)
                return decoder.masks(decoded, rows, every).unflatten(0, (-1, 3))

            return in_chunks(masks, len(points), chunk, "prompts")

        @torch.inference_mode()
        def cut(low: torch.Tensor, part: slice) -> Any:
            low = low[part].flatten(0, 1)[:, None]
            logits = sam.postprocess_masks(low, (768, 1024), (480, 640))[:, 0]
            return stability(logits, 0.0), logits > 0

        for chunk, suffix in chunkings(count, meter.device):
            for name, dtype in dtypes.items():
                run = partial(decode, chunk, dtype=dtype)
                low = torch.cat(meter.measure("sam decode", count, name + suffix, run))
            run = chunked(partial(cut, low), count, chunk)
            meter.measure("sam cut masks", count, f"float32{suffix}", run)


def bench_dino(meter: Meter, counts: list[int], dtypes: Dtypes) -> None:
    """Descriptors of crops."""
    network = DinoV2().eval().requires_grad_(False).to(meter.device)
    for count in counts:
        crops = torch.rand(count, 3, 224, 224, device=meter.device)
        for mode, dtype in dtypes.items():

            def describe(part: slice, crops: Any = crops, dtype: Any = dtype) -> Any:
                with encoding(dtype, meter.device):
                    return network(crops[part])

            for chunk, suffix in chunkings(count, meter.device):
                run, flop = chunked(describe, count, chunk), FLOP["dinov2"] * count
                meter.measure("dinov2 describe", count, mode + suffix, run, flop)


def bench_pem(meter: Meter, counts: list[int], dtypes: Dtypes) -> None:
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
            features = torch.zeros(0)
            for mode, dtype in dtypes.items():

                def extract(
                    part: slice, crops: Any = crops, index: Any = index, dtype: Any = dtype
                ) -> torch.Tensor:
                    with encoding(dtype, meter.device):
                        return pem.feature_extraction(crops[part], index[part]).float()

                for chunk, suffix in chunkings(count, meter.device):
                    run = chunked(extract, count, chunk)
                    found = meter.measure("pem image features", count, mode + suffix, run)
                    features = torch.cat(found)
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

    def predict(part: slice) -> Any:
        return pem.predict(features[part], cloud[part], obj, uniforms[part])

    for chunk, suffix in chunkings(count, meter.device):
        run = chunked(predict, count, chunk)
        meter.measure("pem all after features", count, mode + suffix, run)


def bench_point_ops(meter: Meter, counts: list[int]) -> None:
    """Point operators: torch alone against the form that this device takes."""
    forms = {"plain": (point_ops.plain_sampling, point_ops.plain_ball_queries)}
    fast = "loops" if meter.device.type == "cpu" else "triton"
    if fast == "loops" or point_ops.cuda_kernels(meter.device):
        forms[fast] = (point_ops.furthest_point_sampling, point_ops.ball_queries)
    ball = (0.1, 0.2), (32, 64)
    for count in counts:
        points = torch.rand(count, 2048, 3, device=meter.device)
        for mode, (sample, query) in forms.items():
            meter.measure("sample 196 of 2048", count, mode, partial(sample, points, 196))
            meter.measure("two ball queries", count, mode, partial(query, points, points, *ball))
    cloud = torch.rand(1, 42 * 5000, 3, device=meter.device)
    for mode, (sample, _) in forms.items():
        meter.measure("sample 2048 of 210000", 1, mode, partial(sample, cloud, 2048))


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
        bench_sam(meter, options.sam, options.counts, dtypes)
    meter.write(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
