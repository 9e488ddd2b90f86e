"""Overhead of a Triton server and the gain of batching, against the same model in this process.

    python -m benchmarks.triton REPO MODEL [--environment DIR]

The model is an ONNX file of a repository (`sam6d detector export … --formats onnx`). Each way gets
the same tensor; the first runs are left out; printed are the median and the 10th and 90th
percentile. The ways are measured in turn, twice, so that a change of the machine's load shows.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from pathlib import Path

import numpy as np

from sam6d_ros.apps.environment import default_cache_dir
from sam6d_ros.detectors.manifest import read_manifest
from sam6d_ros.detectors.onnx import OnnxRunner
from sam6d_ros.detectors.preprocess import prepare
from sam6d_ros.detectors.protocol import Runner
from sam6d_ros.detectors.triton.admin import TritonAdmin
from sam6d_ros.detectors.triton.client import ServedModel, TritonRunner
from sam6d_ros.detectors.triton.environment import find
from sam6d_ros.detectors.triton.process import Address, TritonProcess
from sam6d_ros.detectors.triton.repository import version_folder

SIZE_HW = (480, 640)
WARM_UP, RUNS, ROUNDS = 5, 40, 2
CLIENTS, REQUESTS = (1, 2, 4, 8), 30


def measure(name: str, runner: Runner, tensor: np.ndarray) -> None:
    """Print the time of one image."""
    times_ms = []
    for run in range(WARM_UP + RUNS):
        start = time.perf_counter()
        runner.run([tensor])
        if run >= WARM_UP:
            times_ms.append(1000 * (time.perf_counter() - start))
    runner.close()
    low, median, high = np.percentile(times_ms, [10, 50, 90])
    print(f"{name:22} {median:7.1f} ms  ({low:.1f} to {high:.1f})", flush=True)


def throughput(served: ServedModel, tensor: np.ndarray, clients: int) -> float:
    """Return images per second of clients that send at once, each the next after its answer."""
    runners = [TritonRunner(served) for _ in range(clients)]
    barrier = threading.Barrier(clients + 1)

    def client(runner: TritonRunner) -> None:
        runner.run([tensor])
        barrier.wait()
        for _ in range(REQUESTS):
            runner.run([tensor])
        barrier.wait()

    threads = [threading.Thread(target=client, args=(runner,)) for runner in runners]
    for thread in threads:
        thread.start()
    barrier.wait()
    start = time.perf_counter()
    barrier.wait()
    seconds = time.perf_counter() - start
    for thread, runner in zip(threads, runners, strict=True):
        thread.join()
        runner.close()
    return clients * REQUESTS / seconds


def main() -> None:
    """Start a server, measure, and stop it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("repository", type=Path)
    parser.add_argument("model")
    parser.add_argument("--environment", type=Path, default=default_cache_dir() / "triton")
    args = parser.parse_args()
    image = np.random.default_rng(0).integers(0, 256, (*SIZE_HW, 3), dtype=np.uint8)
    tensor, _ = prepare(image, read_manifest(args.repository / args.model).input)
    file = version_folder(args.repository, args.model) / "model.onnx"
    environment, address = find(args.environment / "bin/python3"), Address.free()
    process = TritonProcess(environment, args.repository, address, os.environ)
    try:
        process.wait_ready()
        with TritonAdmin(f"127.0.0.1:{address.http}") as admin:
            admin.load(args.model)
        for _ in range(ROUNDS):
            measure("in process", OnnxRunner(file), tensor)
            for way, port in (("http", address.http), ("grpc", address.grpc)):
                for shared in (False, True):
                    served = ServedModel(args.model, f"127.0.0.1:{port}", way, shared)
                    name = f"{way}{', shared memory' if shared else ''}"
                    measure(name, TritonRunner(served), tensor)
        served = ServedModel(args.model, f"127.0.0.1:{address.grpc}", "grpc")
        for clients in CLIENTS:
            print(
                f"{clients} clients: {throughput(served, tensor, clients):.1f} images/s", flush=True
            )
    finally:
        process.stop()


if __name__ == "__main__":
    main()
