"""Camera stamp to Detection3DArray beyond the inference itself, as a reader of the topic sees it.

    python -m benchmarks.graph.latency

The nodes run around stages that take no time, so that all that is measured is the way of the
messages: image transport, pairing, conversion, masks from node to node, result.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.graph.harness import (
    REMAPPING_ARGUMENTS,
    Reader,
    start_camera,
    write_noise_frames,
)
from sam6d_ros.apps.ros.node.domain import own_domain
from sam6d_ros.apps.ros.node.graph import Children, graph_environment
from sam6d_ros.evaluation.report import machine

SIZES = ((640, 480), (1280, 720))
LAYOUTS = {"two processes": ("segmentation_node", "pose_node"), "one process": ("pipeline",)}
RESULTS = "/pose_node/detections"
READY = ("/segmentation_node/ready", "/pose_node/ready")
WARM_UP = 10  # first results, not counted


def main() -> int:
    """Measure every size and layout; print a table and write JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.graph.latency", description=__doc__)
    parser.add_argument("--frames", type=int, default=200, help="results per row")
    parser.add_argument("--rate", type=float, default=10.0, help="images per second")
    parser.add_argument("--out", type=Path, default=Path("bench_out"), metavar="DIR")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rows = [
        measure(layout, size, args.frames, args.rate, args.out)
        for size in SIZES
        for layout in LAYOUTS
    ]
    result = {"machine": machine(), "rate_hz": args.rate, "rows": rows}
    (args.out / "latency.json").write_text(json.dumps(result, indent=1) + "\n")
    print("| image | nodes | median ms | p95 ms | frames lost |\n|---|---|---:|---:|---:|")
    for row in rows:
        print(
            f"| {row['image']} | {row['layout']} | {row['median_ms']:.1f} | {row['p95_ms']:.1f} "
            f"| {100 * row['lost']:.1f} % |"
        )
    return 0


def measure(
    layout: str, size: tuple[int, int], frames: int, rate_hz: float, out: Path
) -> dict[str, Any]:
    """One row: a graph of its own, from start to stop."""
    nodes = LAYOUTS[layout]
    with tempfile.TemporaryDirectory() as scratch, own_domain() as domain_id:
        folder = write_noise_frames(Path(scratch) / "frames", *size)
        environment = graph_environment(domain_id, Path(scratch))
        with Children(environment, Path(scratch)) as children:
            reader = Reader(domain_id, [RESULTS], READY)
            for name in nodes:
                program = ("-m", "benchmarks.graph.idle_nodes", name)
                children.start(name, {"objects_file": "unused"}, REMAPPING_ARGUMENTS, program)
            start_camera(children, folder, rate_hz, READY, subscribers=2)
            reader.wait_for(lambda: len(reader.arrivals[RESULTS]) >= frames + WARM_UP, children)
            reader.close()
    counted = reader.arrivals[RESULTS][WARM_UP:]
    ages = reader.ages_ms(RESULTS)[WARM_UP:]
    sent = round((counted[-1][0] - counted[0][0]) * rate_hz) + 1
    return {
        "image": f"{size[0]}×{size[1]}",
        "layout": layout,
        "results": len(counted),
        "median_ms": float(np.median(ages)),
        "p95_ms": float(np.percentile(ages, 95)),
        "lost": max(0.0, 1 - len(counted) / sent),
    }


if __name__ == "__main__":
    sys.exit(main())
