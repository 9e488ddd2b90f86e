"""Age and rate of live pictures of `sam6d serve models`, and its memory over a long run.

    python -m benchmarks.streams [--seconds 15] [--size 640x480]
    python -m benchmarks.streams --soak 10

A camera (a real RTSP server, H.264, 25 pictures/s) sends a scrolling scene with the time in each
picture. The model server is a process of its own, with one viewer per stream here; a viewer reads
the time out of the MJPEG it gets. All streams are connections to one camera, which encodes once:
so the cores decode and encode JPEG for N streams. The soak has 4 streams with a detector that is
replaced again and again, and streams that are edited; it prints the server's resident memory.

Needs the packages of ``scripts/debian_packages.txt``, and torch for the detector of the soak.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import cv2
import httpx
import numpy as np

from benchmarks.environment import REPO
from sam6d_ros.evaluation.synthetic import make_scene
from sam6d_ros.geometry.units import BYTES_PER_MB
from sam6d_ros.runtime.memory import resident_bytes

sys.path.insert(0, str(REPO / "test"))  # the camera is that of the tests

from detectors.tiny import write_onnx
from rtsp import Camera, age_s, camera
from stream_server import add, parts

STREAMS = (1, 4, 8)
SOAK_STREAMS, RELOAD_S, EDIT_S, REPORT_S = 4, 5.0, 15.0, 30.0
WARM_UP_S = 3.0
SEED = 7  # of the scene
DECODED_EVERY = 5  # pictures of a viewer; the others are only counted
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@contextmanager
def server(folder: Path, *words: str) -> Iterator[tuple[httpx.Client, int]]:
    """Run the model server; yield a client of it and its process id."""
    log = folder / "server.log"
    command = f"serve models --port 0 --allow-network 127.0.0.1 --data-dir {folder}/data"
    process = subprocess.Popen(
        [sys.executable, "-m", "sam6d_ros.apps.cli.main", *command.split(), *words],
        stdout=subprocess.PIPE,
        stderr=log.open("w"),
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPO), "PYTHONFAULTHANDLER": "1"},
    )
    assert process.stdout is not None
    try:
        url = process.stdout.readline().split()[1]
        # A kept connection may be closed by the server just when it is used again.
        with httpx.Client(base_url=url, timeout=60, headers={"Connection": "close"}) as client:
            yield client, process.pid
    finally:
        ended = process.poll()
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        if ended is not None:
            print(f"the server ended with status {ended}:\n{log.read_text()[-4000:]}")


class Watcher:
    """Viewer of one stream in a thread: number of pictures, and ages of some."""

    def __init__(self, url: str, key: str) -> None:
        self.count, self.ages = 0, []  # type: ignore[var-annotated]
        self._path = f"{url}/streams/{key}/mjpeg"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def restart(self) -> None:
        """Count anew."""
        self.count, self.ages = 0, []

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():  # an edited stream ends its viewers
            try:
                with httpx.stream("GET", self._path, timeout=10) as response:
                    self._watch(response)
            except httpx.TransportError:
                time.sleep(0.1)

    def _watch(self, response: httpx.Response) -> None:
        for jpeg in parts(response):
            if self._stop.is_set():
                return
            self.count += 1
            if self.count % DECODED_EVERY == 0:
                image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
                self.ages.append(age_s(image))


@contextmanager
def watching(client: httpx.Client, keys: list[str]) -> Iterator[list[Watcher]]:
    watchers = [Watcher(str(client.base_url).rstrip("/"), key) for key in keys]
    try:
        yield watchers
    finally:
        for watcher in watchers:
            watcher.close()


def cpu_s(pid: int) -> float:
    """Return seconds of processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def rates(source: Camera, seconds: float) -> None:
    """Print rate and age for several numbers of streams."""
    print(
        "\n| streams | pictures/s each | age p50 ms | age p95 ms | in the server, p50 ms | cores |"
    )
    print("|---|---|---|---|---|---|", flush=True)
    for number in STREAMS:
        with tempfile.TemporaryDirectory() as name, server(Path(name)) as (client, pid):
            keys = [add(client, source.url)["id"] for _ in range(number)]
            with watching(client, keys) as watchers:
                time.sleep(WARM_UP_S)
                for watcher in watchers:
                    watcher.restart()
                start, before = time.monotonic(), cpu_s(pid)
                time.sleep(seconds)
                span, cpu = time.monotonic() - start, cpu_s(pid) - before
                counts = [watcher.count for watcher in watchers]
                ages_ms = [1e3 * age for watcher in watchers for age in watcher.ages]
            streams = client.get("/streams").json()["streams"]
        p50, p95 = np.percentile(ages_ms, [50, 95])
        inside = 1e3 * np.median([stream["output_age_s"] for stream in streams])
        print(
            f"| {number} | {np.mean(counts) / span:.1f} | {p50:.0f} | {p95:.0f} | {inside:.1f} | "
            f"{cpu / span:.2f} |",
            flush=True,
        )


def soak(source: Camera, minutes: float) -> None:
    """Print the memory of the server over some minutes with reloads and edits."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "tiny").mkdir()
        write_onnx(folder / "tiny")
        model = {"name": "tiny", "source": str(folder / "tiny"), "replace": True}
        client, pid = stack.enter_context(server(folder, "--allow-root", str(folder)))
        client.post("/models", json=model).raise_for_status()
        body = {"name": "soak", "url": source.url, "model": "tiny"}
        keys = [add(client, source.url, model="tiny")["id"] for _ in range(SOAK_STREAMS)]
        watchers = stack.enter_context(watching(client, keys))
        reloads = edits = 0
        sizes_mb: list[float] = []
        start = time.monotonic()
        print("\n| minute | MB, lowest | MB, median | pictures | reloads | edits |")
        print("|---|---|---|---|---|---|", flush=True)
        report_at = start + REPORT_S
        while (now := time.monotonic()) < start + 60 * minutes:
            if now - start > RELOAD_S * (reloads + 1):
                client.post("/models", json=model).raise_for_status()
                reloads += 1
            if now - start > EDIT_S * (edits + 1):
                client.put(f"/streams/{keys[edits % len(keys)]}", json=body).raise_for_status()
                edits += 1
            sizes_mb.append(resident_bytes(pid) / BYTES_PER_MB)
            if now > report_at:
                report_at += REPORT_S
                shown = sum(watcher.count for watcher in watchers)
                figures = f"{min(sizes_mb):.0f} | {np.median(sizes_mb):.0f} | {shown}"
                minute = (now - start) / 60
                print(f"| {minute:.1f} | {figures} | {reloads} | {edits} |", flush=True)
                sizes_mb.clear()
            time.sleep(0.05)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=15, help="of each measurement")
    parser.add_argument("--size", default="640x480", help="of the pictures (default: %(default)s)")
    parser.add_argument("--soak", type=float, metavar="MIN", help="run this long instead")
    args = parser.parse_args()
    width, height = args.size.split("x")
    print(f"{os.cpu_count()} cores, {args.size}, 25 pictures/s, H.264 over RTSP and TCP")
    scene = cv2.resize(make_scene(SEED).frame.rgb, (int(width), int(height)))
    with tempfile.NamedTemporaryFile() as file:
        file.write(scene.tobytes())
        file.flush()
        options = ("--width", width, "--height", height, "--background", file.name)
        with camera(*options) as source:
            rates(source, args.seconds) if args.soak is None else soak(source, args.soak)


if __name__ == "__main__":
    main()
