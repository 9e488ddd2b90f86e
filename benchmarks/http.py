"""Requests per second and latency of the HTTP services beside a plain loop over the engine.

python -m benchmarks.http [--requests 30]

The server is a process of its own; the loop runs in this one, on the same frame and object, in
rounds that alternate with those over HTTP. The overhead of a request is its latency with one
client less the engine's time for it, which the answer states.
"""

from __future__ import annotations

import argparse
import base64
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from sam6d_ros.apps.http.decode import decode_depth, decode_rgb, make_frame
from sam6d_ros.apps.http.settings import Limits
from sam6d_ros.apps.threads import share_the_cores
from sam6d_ros.cad.onboard import onboard
from sam6d_ros.config import PipelineConfig
from sam6d_ros.runtime.build import EngineSpec, build_engine
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.objects import ObjectSet
from sam6d_ros.types import Frame

CLIENTS = (1, 3, 8)
ROUNDS = 3
PIPELINE = "/api/v1/full_pipeline"


@contextmanager
def server(cache: Path) -> Iterator[str]:
    """Run `sam6d serve pem`; yield its address."""
    words = "-m sam6d_ros.apps.cli.main serve pem --port 0 --backend geometric --cache-dir"
    process = subprocess.Popen(
        [sys.executable, *words.split(), str(cache), "--log-dir", str(cache)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ,
    )
    assert process.stdout is not None
    try:
        url = process.stdout.readline().split()[1]
        while True:
            try:
                if httpx.get(url + "/health").status_code == 200:
                    break
            except httpx.ConnectError:
                pass
            time.sleep(0.1)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def engine_and_frame(sample: dict[str, Any], cache: Path) -> tuple[Engine, Frame]:
    """Return an engine with the object of the sample, and its frame."""
    limits, camera = Limits(), sample["cam_params"]
    frame = make_frame(
        decode_rgb(sample["rgb_image"], "rgb", limits),
        decode_depth(sample["depth_image"], "depth", camera["depth_scale"], limits),
        camera["cam_K"],
    )
    model = onboard(sample["cad_path"], cache_dir=cache)
    objects = ObjectSet({model.name: model})
    return build_engine(
        EngineSpec(PipelineConfig(backend="geometric"), cache, objects=objects)
    ), frame


def timed(call: Any, count: int, clients: int = 1) -> tuple[list[float], float]:
    """Return the seconds of each call, and of all together."""

    def one(_: int) -> float:
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    begin = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        seconds = list(pool.map(one, range(count)))
    return seconds, time.perf_counter() - begin


def row(name: str, seconds: list[float], whole: float) -> str:
    """Return one line of the table, times in milliseconds."""
    p50, p95 = 1e3 * np.percentile(seconds, [50, 95])
    return f"| {name} | {len(seconds) / whole:.2f} | {p50:.0f} | {p95:.0f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=30, help="of each round")
    count = parser.parse_args().requests
    share_the_cores()
    loop: list[float] = []
    over_http: dict[int, list[float]] = {clients: [] for clients in CLIENTS}
    wholes = {0: 0.0, **dict.fromkeys(CLIENTS, 0.0)}
    with tempfile.TemporaryDirectory() as name, server(Path(name)) as url:
        client = httpx.Client(base_url=url, timeout=300)
        sample = client.get("/test/sample").json()
        engine, frame = engine_and_frame(sample, Path(name))
        size = len(base64.b64decode(sample["rgb_image"])) / 1e3

        overheads: list[float] = []

        def post() -> float:
            start = time.perf_counter()
            answer = client.post(PIPELINE, json=sample).raise_for_status()
            seconds = time.perf_counter() - start
            return seconds - float(answer.json()["total_time"])

        post(), engine.run(frame)  # prepared and warm
        for _ in range(ROUNDS):
            seconds, whole = timed(lambda: engine.run(frame), count)
            loop += seconds
            wholes[0] += whole
            for clients in CLIENTS:
                seconds, whole = timed(post, count, clients)
                over_http[clients] += seconds
                wholes[clients] += whole
            overheads += [post() for _ in range(count)]
    print(f"frame 640×480, colour {size:.0f} kB as PNG; {ROUNDS} rounds of {count}")
    print("\n| | requests/s | p50 ms | p95 ms |\n|---|---|---|---|")
    print(row("loop over the engine", loop, wholes[0]))
    for clients in CLIENTS:
        print(row(f"HTTP, {clients} clients", over_http[clients], wholes[clients]))
    p50, p95 = 1e3 * np.percentile(overheads, [50, 95])
    print(f"\noverhead of one request: median {p50:.1f} ms, p95 {p95:.1f} ms")


if __name__ == "__main__":
    main()
