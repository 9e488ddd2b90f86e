"""Ten minutes at camera rate with the real stages: does memory stay flat, does latency grow?

    python -m benchmarks.graph.soak [--minutes 10] [--dataset BOP_FOLDER]

A camera made of files sends a synthetic scene (or a data set's) at camera rate, far faster than the
full search works; each node must keep to the newest frame. Once per second the resident memory of
every process is noted, and the age of every result when it arrives.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from benchmarks.graph.harness import (
    REMAPPING_ARGUMENTS,
    Reader,
    start_camera,
)
from sam6d_ros.apps.environment import default_cache_dir
from sam6d_ros.apps.ros.demo.run import write_objects_file
from sam6d_ros.apps.ros.demo.scene import read_task
from sam6d_ros.apps.ros.node.domain import own_domain
from sam6d_ros.apps.ros.node.graph import Child, Children, graph_environment
from sam6d_ros.evaluation.report import machine
from sam6d_ros.evaluation.synthetic import make_scene, write_bop
from sam6d_ros.runtime.memory import resident_bytes

NODES = ("segmentation_node", "pose_node", "tracking_node")
RESULTS = {"full": "/pose_node/detections", "tracked": "/tracking_node/detections"}
READY = tuple(f"/{name}/ready" for name in NODES)
MB = 1e6


def main() -> int:
    """Run the graph, print a table and write JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.graph.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=30.0, help="images per second")
    parser.add_argument("--dataset", type=Path, help="BOP folder; default: a synthetic scene")
    parser.add_argument("--out", type=Path, default=Path("bench_out"), metavar="DIR")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        result = soak(args.dataset, 60 * args.minutes, args.rate, Path(scratch))
    result = {"machine": machine(), "minutes": args.minutes, "rate_hz": args.rate, **result}
    (args.out / "soak.json").write_text(json.dumps(result, indent=1) + "\n")
    report(result)
    return 0


def soak(dataset: Path | None, seconds: float, rate_hz: float, scratch: Path) -> dict[str, Any]:
    """The graph for so many seconds after its first result."""
    if dataset is None:
        scene = make_scene(1, cache_dir=default_cache_dir())
        dataset = write_bop(scene, scratch / "scene")
    task = read_task(dataset, None)
    objects = write_objects_file(list(task.models.values()), scratch / "objects.yaml")
    with (
        own_domain() as domain_id,
        Children(graph_environment(domain_id, scratch), scratch) as children,
    ):
        reader = Reader(domain_id, list(RESULTS.values()), READY)
        nodes = {name: start_node(children, name, objects) for name in NODES}
        start_camera(children, task.scene_dir, rate_hz, READY, subscribers=len(NODES))
        reader.wait_for(lambda: bool(reader.arrivals[RESULTS["full"]]), children)
        memory: dict[str, list[float]] = {name: [] for name in nodes}
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            due = time.monotonic() + min(1.0, left)
            reader.wait_for(lambda due=due: time.monotonic() > due, children)
            for name, child in nodes.items():
                memory[name].append(resident_bytes(child.pid) / MB)
        reader.close()
    return {
        "memory_mb": memory,
        "age_ms": {name: list(reader.ages_ms(topic)) for name, topic in RESULTS.items()},
    }


def start_node(children: Children, name: str, objects: Path) -> Child:
    """One node with the demo's topics; the tracker follows the pose node."""
    estimates = ["-r", "tracking_node:~/estimates:=/pose_node/detections"]
    return children.start(name, {"objects_file": objects}, [*REMAPPING_ARGUMENTS, *estimates])


def report(result: dict[str, Any]) -> None:
    """First and last fifth of the time, beside each other."""
    console = Console()
    for name, values in result["memory_mb"].items():
        fifth = max(1, len(values) // 5)
        first, last = np.median(values[fifth : 2 * fifth]), np.median(values[-fifth:])
        console.print(f"{name}: {first:.0f} MB in the second fifth, {last:.0f} MB in the last")
    for name, ages in result["age_ms"].items():
        fifth = max(1, len(ages) // 5)
        first, last = ages[:fifth] or [np.nan], ages[-fifth:] or [np.nan]
        console.print(
            f"{name}: {len(ages)} results; age median {np.median(first):.0f} ms in the first "
            f"fifth, {np.median(last):.0f} ms in the last; p95 {np.percentile(first, 95):.0f} and "
            f"{np.percentile(last, 95):.0f} ms"
        )


if __name__ == "__main__":
    sys.exit(main())
