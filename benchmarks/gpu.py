"""The sam6d backend on one device, stage by stage: ``python -m benchmarks.gpu --golden FOLDER``.

Golden arrays first, then warm-up, stages, whole frames, memory and the original's way, in one
process and one JSON file. Imports torch, numpy, scipy, OpenCV and numba; SAM also needs the
package segment-anything. Without CUDA it runs on the CPU with small networks and small
counts, which checks the program and measures nothing. The exit status is 1 when a golden array is
beyond its tolerance or a part failed. Regions and detections are fixed: seeded weights find none.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test/golden"))

from benchmarks import gpu_inputs
from benchmarks.gpu_report import (
    bars,
    counted,
    forget_memory,
    machine,
    peak_memory,
    summary,
    tf32_default,
    unplanned_wait,
)
from benchmarks.gpu_stages import Setup, Stages
from sam6d_ros.models.device import resolve_device
from sam6d_ros.stages.sam6d.settings import Sam6dConfig

# Multiply-adds times two, by torch's FLOP counter on meta tensors.
FLOP = {
    "sam vit_h": 5.96e12,
    "sam vit_l": 2.99e12,
    "sam vit_b": 0.97e12,
    "sam prompt": 3.62e9,
    "dinov2 crop": 1.62e11,
    "pem detection": 8.5e10,
}
LIMITS_S = {  # with 5 s for the start, 150 s
    "golden": 35.0,
    "warm_up": 30.0,
    "stages": 40.0,
    "end_to_end": 13.0,
    "ratio": 15.0,
    "fast": 12.0,
}
PARTS = ("golden", "stages", "end_to_end", "ratio", "fast")


class Bench:
    """Parts of the benchmark on one device; results go into ``out``."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.device = options, resolve_device(options.device)
        self.cuda = self.device.type == "cuda"
        self.tiny = not self.cuda and not options.full
        self.repeats = options.repeats or (10 if self.cuda else 1)
        self.counts = options.counts or ([1, 4, 16] if self.cuda else [1, 2])
        self.regions = 100 if self.cuda else 4
        self.views = 42 if self.cuda else 6
        self.reference: Any = None
        keys = ("machine", "golden", "stages", "end_to_end", "memory", "ratio", "skipped")
        self.out: dict[str, Any] = {key: {} for key in keys}
        self.failed = False

    def build(self, preset: str, dino: Any, pem: Any) -> Stages:
        """Build the stages with the settings of a preset and prepare the object."""
        words = f"preset={preset} views={self.views}"
        words += f" sam_variant={self.options.sam}" if self.options.sam else ""
        config = Sam6dConfig.parse(words)
        config = gpu_inputs.tiny_config(config) if self.tiny else config
        golden = None if self.tiny else self.options.golden
        views = gpu_inputs.read_templates(golden, self.views)
        setup = Setup(config, self.device, self.tiny, self.regions, views)
        return Stages(setup, dino, pem, self.out["skipped"])

    def part(self, name: str, work: Callable[[float], Any]) -> None:
        """Run one part; an error is kept in the result and the other parts go on."""
        start = time.perf_counter()
        print(f"{name} …", file=sys.stderr, flush=True)
        try:
            work(start + LIMITS_S[name])
        except Exception as error:
            traceback.print_exc()
            self.failed = True
            self.out["skipped"][name] = f"failed: {type(error).__name__}: {error}"
        took = time.perf_counter() - start
        self.out["machine"].setdefault("seconds", {})[name] = round(took, 1)
        if took > LIMITS_S[name]:
            self.out["machine"].setdefault("over_limit", {})[name] = LIMITS_S[name]

    def time_ms(self, run: Callable[[], Any], deadline: float) -> list[float]:
        """Return milliseconds of each run: events of the GPU's stream, or the clock."""
        taken = []
        for number in range(self.repeats):
            if number and time.perf_counter() > deadline:
                break
            self.synchronize()
            start = time.perf_counter()
            if self.cuda:
                first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
                first.record()
                run()
                last.record()
                self.synchronize()
                taken.append(first.elapsed_time(last))
            else:
                run()
                taken.append((time.perf_counter() - start) * 1e3)
        return taken

    def synchronize(self) -> None:
        """Wait for the GPU."""
        if self.cuda:
            torch.cuda.synchronize(self.device)

    # --- parts ---

    def golden(self, deadline: float) -> None:
        """Compare the golden arrays on this device."""
        folder = self.options.golden
        if folder is None:
            self.out["skipped"]["golden"] = "no folder was named (--golden FOLDER)"
            return
        import check
        from golden_reference import Reference, use_device
        from golden_report import Report

        use_device(self.device)
        self.reference, report = Reference(folder.resolve()), Report(loud=False)
        files = [p for p in check.golden_files(folder) if p.stem != "seed_weights_check"]
        files = [p for p in files if self.options.only in p.name]
        for path in files:
            check.check_file(self.reference, path, report)
        beyond = [str(row) for row in report.failures]
        self.out["golden"] = {"arrays": len(report.rows), "beyond_tolerance": beyond}
        self.failed |= bool(beyond) or not report.rows
        print(f"{len(report.rows)} golden arrays, {len(beyond)} beyond tolerance", file=sys.stderr)

    def load(self, deadline: float) -> None:
        """Build the networks, prepare the object, run every stage once, then a first frame."""
        start = time.perf_counter()
        if self.reference is not None and not self.tiny:
            dino, pem = self.reference.dino, self.reference.pem
        else:
            dino = gpu_inputs.seed(gpu_inputs.build_dino(self.tiny), 2, self.device)
            pem = gpu_inputs.seed(gpu_inputs.build_pem(self.tiny), 3, self.device)
        self.backend = self.build(self.options.preset, dino, pem)
        seconds = {"load_s": time.perf_counter() - start}
        for key in ("warm_up_s", "first_frame_s"):
            start = time.perf_counter()
            # the largest first: smaller batches share its memory
            for count in sorted(self.counts)[::-1] if key == "warm_up_s" else self.counts[:1]:
                self.backend.frame(count)
                print(f"  {count} detections", file=sys.stderr, flush=True)
            self.synchronize()
            seconds[key] = time.perf_counter() - start
        self.out["end_to_end"]["start"] = seconds | {"graphs": self.backend.graphs()}

    def stages(self, deadline: float) -> None:
        """Time each stage and count its launches and waits."""
        backend = self.backend
        networks, prompts = backend.networks, backend.config.points_per_side**2
        work: dict[str, tuple[Callable[[], Any], float]] = {}
        if networks.sam is not None:
            sam, variant = networks.sam, f"sam {backend.config.sam_variant}"
            image = sam._to_input(backend.scene.frame.rgb)
            work["sam encoder"] = (lambda: sam._encode(image), FLOP[variant])
            whole = FLOP[variant] + prompts * FLOP["sam prompt"]
            work["proposals"] = (lambda: sam.segment(backend.scene.frame.rgb), whole)
            work |= {name: (run, 0.0) for name, run in backend.attention_forms().items()}
        work[f"scores, {self.regions} regions"] = (
            backend.score,
            self.regions * FLOP["dinov2 crop"],
        )
        for count in self.counts:
            flop = count * FLOP["pem detection"]
            work[f"poses, {count}"] = (lambda n=count: backend.poses(n), flop)  # type: ignore[misc]
        for name, (run, flop) in work.items():
            row = summary(self.time_ms(run, deadline))
            if flop and not self.tiny:
                row["tflops"] = flop / row["median_ms"] / 1e9
            row |= counted(run) if self.cuda else {}
            self.out["stages"][name] = row
            print(f"  {name}: {row}", file=sys.stderr, flush=True)
        if self.cuda:
            self.out["stages"]["unplanned wait"] = unplanned_wait(lambda: backend.frame(1))
        else:
            reason = "counted on CUDA alone; tests bound them on the CPU"
            self.out["skipped"]["launches"] = reason

    def fast(self, deadline: float) -> None:
        """Time whole frames of the preset ``fast``; the networks before it are freed."""
        dino, pem = self.backend.networks.dino, self.backend.networks.pem
        del self.backend
        forget_memory(self.device)
        self.backend = self.build("fast", dino, pem)
        for count in sorted(self.counts)[::-1]:
            self.backend.frame(count)
        self.end_to_end(deadline, "fast")

    def end_to_end(self, deadline: float, preset: str = "") -> None:
        """Time whole frames by the clock, with the peak of memory."""
        for count in self.counts:
            forget_memory(self.device)
            taken = []
            for number in range(self.repeats):
                if number and time.perf_counter() > deadline:
                    break
                start = time.perf_counter()
                self.backend.frame(count)
                self.synchronize()
                taken.append((time.perf_counter() - start) * 1e3)
            name = f"{preset or self.options.preset}, {count}"
            self.out["end_to_end"][name] = summary(taken)
            if self.cuda:
                self.out["memory"][name] = peak_memory(self.device)
            print(f"  {name}: {self.out['end_to_end'][name]}", file=sys.stderr, flush=True)
        if not self.cuda:
            self.out["skipped"]["memory"] = "peak memory of the device is measured on CUDA alone"

    def ratio(self, deadline: float) -> None:
        """Time the original's way with the same networks and set it against ours."""
        if self.tiny:
            self.out["skipped"]["times_faster"] = "small networks say nothing of the released ones"
        for part in gpu_inputs.reduced(self.backend.networks):
            part.float()  # the original runs in float32; our graphs are not used after this
        with tf32_default():
            for count in self.counts:
                parts = self.backend.original_parts(count)
                for run in parts.values():
                    run()  # warm up
                rows = {name: summary(self.time_ms(run, deadline)) for name, run in parts.items()}
                whole = sum(row["median_ms"] for row in rows.values())
                ours = self.out["end_to_end"].get(f"{self.options.preset}, {count}", {})
                row: dict[str, Any] = {"parts": rows, "original_ms": whole}
                if ours and not self.tiny:
                    row["times_faster"] = whole / ours["median_ms"]
                self.out["ratio"][str(count)] = row
                print(f"  {count}: {row}", file=sys.stderr, flush=True)


def main() -> int:
    """Run all parts and write the result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--golden", type=Path, help="folder of golden files (default: none)")
    parser.add_argument("--only", default="", help="golden files whose name contains this")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda[:N] (default: auto)")
    parser.add_argument("--sam", help="vit_h, vit_l or vit_b (default: the preset's)")
    parser.add_argument("--preset", default="quality", help="quality, balanced or fast")
    parser.add_argument("--counts", type=int, nargs="+", help="detections (default: 1 4 16)")
    parser.add_argument("--repeats", type=int, help="runs of a stage (default: 10, CPU: 1)")
    parser.add_argument("--full", action="store_true", help="full-size networks on the CPU too")
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's)")
    parser.add_argument("--out", type=Path, default=Path("bench_out/gpu.json"))
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    start = time.perf_counter()
    bench = Bench(options)
    bench.out["machine"] = machine(bench.device) | {"networks": "small" if bench.tiny else "full"}
    if "golden" in options.parts:
        bench.part("golden", bench.golden)
    if options.parts == ["golden"]:
        return finish(bench, options.out, start)
    bench.part("warm_up", bench.load)
    if "warm_up" not in bench.out["skipped"]:
        wanted = [name for name in PARTS[1:] if name in options.parts]
        if options.preset == "fast" and "fast" in wanted:
            wanted.remove("fast")  # measured already
        for name in wanted:
            bench.part(name, getattr(bench, name))
    return finish(bench, options.out, start)


def finish(bench: Bench, path: Path, start: float) -> int:
    """Write the result and return the exit status."""
    if bench.cuda:
        bench.out["bars"] = bars(bench.out)
    bench.out["machine"]["seconds"]["all"] = round(time.perf_counter() - start, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(bench.out, indent=1) + "\n")
    print(f"written to {path}", file=sys.stderr)
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
