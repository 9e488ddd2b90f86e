"""Gains of the model server's parts, as ratios in one run: memory pool, micro-batches, hosts.

    python -m benchmarks.model_server [MODEL]

MODEL is a detector (`sam6d detector export centernet`); without one, a small network of random
weights is exported, whose input and time are those of a small detector. The ways are measured in
turn, several times, so that a change of the machine's load shows.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from sam6d_ros.detectors.buffers import FreshBuffers
from sam6d_ros.detectors.manifest import FILE_NAME, InputSpec, Manifest
from sam6d_ros.detectors.onnx import SPINNING
from sam6d_ros.detectors.preprocess import prepare
from sam6d_ros.detectors.table import open_detector
from sam6d_ros.runtime.model_server.buffers import ModelBuffers
from sam6d_ros.runtime.model_server.frame_model import FrameInput
from sam6d_ros.runtime.model_server.registry import Registry
from sam6d_ros.runtime.model_server.spec import ModelSpec

SIZE_HW = (480, 640)
ROUNDS, RUNS = 7, 40
CLIENTS, REQUESTS = (1, 4, 8), 30
MAX_BATCH = 8


def small_model(folder: Path) -> Path:
    """Export a small network with a batch axis; boxes of the brightest cells of its score map."""
    import torch

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.Sequential(
                torch.nn.Conv2d(3, 16, 3, 4, 1),
                torch.nn.ReLU(),
                torch.nn.Conv2d(16, 32, 3, 2, 1),
                torch.nn.ReLU(),
                torch.nn.Conv2d(32, 32, 3, 2, 1),
                torch.nn.ReLU(),
                torch.nn.Conv2d(32, 1, 1),
            )

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            scores, places = torch.sigmoid(self.layers(x)).flatten(1).topk(10, dim=1)
            corners = torch.stack([places, places, places + 16, places + 16], 2).float()
            return corners, torch.zeros_like(places), scores

    names = ["output__0", "output__1", "output__2"]
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Net().eval(),
            (torch.rand(1, 3, *SIZE_HW),),
            str(folder / "model.onnx"),
            input_names=["input__0"],
            output_names=names,
            dynamic_axes={"input__0": {0: "b"}} | {name: {0: "b"} for name in names},
            opset_version=17,
            dynamo=False,
        )
    form = InputSpec(SIZE_HW, fit="stretch")
    (folder / FILE_NAME).write_text(Manifest("small", ("x",), form, max_batch=MAX_BATCH).to_json())
    return folder / "model.onnx"


def in_turn(ways: dict[str, Callable[[], float]]) -> dict[str, float]:
    """Return the median of each way over the rounds, and print them with their ratios."""
    values: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            values[name].append(way())
    medians = {name: statistics.median(found) for name, found in values.items()}
    first = next(iter(medians.values()))
    for name, median in medians.items():
        low, high = min(values[name]), max(values[name])
        print(f"  {name:34} {median:8.2f}  ({low:.2f} to {high:.2f})  ratio {median / first:.2f}")
    return medians


def time_ms(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the median of the milliseconds of a call by a clock."""
    times = []
    for _ in range(RUNS):
        start = clock()
        work()
        times.append(1000 * (clock() - start))
    return statistics.median(times)


def pools(size_hw: tuple[int, int], images: int) -> None:
    """Compare lent memory with fresh memory: CPU time to prepare the input of one call."""
    random = np.random.default_rng(0)
    rgb = random.integers(0, 256, (*size_hw, 3), dtype=np.uint8)
    shape = (images, 3, *size_hw)
    print(f"CPU ms to prepare {images} × {size_hw[0]} × {size_hw[1]} pixels")

    def filled(buffers: FreshBuffers | ModelBuffers) -> None:
        with buffers.host(shape) as batch:
            for row in batch:
                prepare(rgb, InputSpec(), row)

    def stacked() -> None:
        np.stack([prepare(rgb, InputSpec())[0] for _ in range(images)])

    fresh, pool = FreshBuffers(), ModelBuffers()
    in_turn(
        {
            "an array per image, then a batch": lambda: time_ms(stacked, time.thread_time),
            "a fresh batch": lambda: time_ms(lambda: filled(fresh), time.thread_time),
            "a batch of the pool": lambda: time_ms(lambda: filled(pool), time.thread_time),
        }
    )


def throughput(registry: Registry, name: str, rgb: np.ndarray, clients: int, cpu: bool) -> float:
    """Return images per second of clients that send the next image after each answer.

    Args:
        cpu: return CPU milliseconds per image instead, which other programs change less.
        registry: the model server.
        name: of the model.
        rgb: (H, W, 3) uint8 image.
        clients: number of clients.
    """
    barrier = threading.Barrier(clients + 1)

    def client() -> None:
        barrier.wait()
        for _ in range(REQUESTS):
            registry.submit(name, FrameInput(rgb)).result()
        barrier.wait()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    barrier.wait()
    start, start_cpu = time.perf_counter(), time.process_time()
    barrier.wait()
    seconds, cpu_s = time.perf_counter() - start, time.process_time() - start_cpu
    for thread in threads:
        thread.join()
    images = clients * REQUESTS
    return 1000 * cpu_s / images if cpu else images / seconds


def batching(model: str, rgb: np.ndarray) -> None:
    """Compare micro-batches with one image per call."""
    registry = Registry()
    for name, most, delay_ms in (("one", 1, 0.0), ("waiting", 8, 0.0), ("delayed", 8, 5.0)):
        spec = ModelSpec(name, model, max_batch=most, max_delay_ms=delay_ms, capacity=64)
        registry.register(spec).result()
    ways = {"one": "one image per call", "waiting": "up to 8 that wait", "delayed": "… in 5 ms"}
    for clients in CLIENTS:
        for cpu, unit in ((False, "images/s"), (True, "CPU ms per image")):
            print(f"{unit}, {clients} clients")
            in_turn(
                {
                    text: partial(throughput, registry, name, rgb, clients, cpu)
                    for name, text in ways.items()
                }
            )
    mean = registry.stats("waiting").batch.mean
    print(f"images per call of 'up to 8 that wait', all clients: {mean:.1f}")
    registry.close()


def spinning(model: str, rgb: np.ndarray) -> None:
    """Compare threads of ONNX Runtime that wait in a loop with threads that sleep: four models."""
    import onnxruntime

    batch = prepare(rgb, InputSpec())[0][None]

    def sessions(spin: str) -> list[onnxruntime.InferenceSession]:
        options = onnxruntime.SessionOptions()
        options.add_session_config_entry(SPINNING, spin)
        return [onnxruntime.InferenceSession(model, options) for _ in range(4)]

    def run(made: list[onnxruntime.InferenceSession]) -> float:
        def calls(session: onnxruntime.InferenceSession) -> None:
            for _ in range(2 * REQUESTS):
                session.run(None, {session.get_inputs()[0].name: batch})
                time.sleep(0.002)  # the next image comes later

        threads = [threading.Thread(target=calls, args=(session,)) for session in made]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return 2 * REQUESTS * len(made) / (time.perf_counter() - start)

    print("images/s of four models in ONNX Runtime")
    ways = {"threads wait in a loop": sessions("1"), "threads sleep": sessions("0")}
    in_turn({text: partial(run, made) for text, made in ways.items()})


def overhead(model: str, rgb: np.ndarray) -> None:
    """Compare a request through the registry with a direct call."""
    detector, registry = open_detector(model), Registry()
    registry.register(ModelSpec("m", model, max_batch=1)).result()
    print("ms of one image")
    in_turn(
        {
            "direct call": lambda: time_ms(lambda: detector.detect([rgb])),
            "through the registry": lambda: time_ms(
                lambda: registry.submit("m", FrameInput(rgb)).result()
            ),
        }
    )
    registry.close()


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", help="as sam6d serve models takes it")
    args = parser.parse_args()
    rgb = np.random.default_rng(0).integers(0, 256, (*SIZE_HW, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        model = args.model or str(small_model(Path(folder)))
        for size_hw, images in (((480, 640), 1), ((480, 640), 8), ((1080, 1920), 1)):
            pools(size_hw, images)
        overhead(model, rgb)
        if args.model is None:
            spinning(model, rgb)
        batching(model, rgb)


if __name__ == "__main__":
    main()
