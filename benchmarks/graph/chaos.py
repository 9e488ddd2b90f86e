"""Minutes of random faults at camera rate: nodes alive, recovery, memory.

    python -m benchmarks.graph.chaos [--minutes 10] [--seed 1]

Segmentation, pose and tracking node work on a camera made of files while ``faults.Faults`` sends
what no correct program sends. After the last fault, the time is measured until full and tracked
poses come of a later image; the same is measured before the first fault, for comparison. The exit
status is 1 if a node has died, or poses take more than 5 s to come. The time of a full search grows
with the number of objects, so few are registered; ``load`` is the machine's at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.graph.faults import Faults
from benchmarks.graph.harness import Reader, start_camera
from benchmarks.graph.soak import MB, NODES, READY, RESULTS, start_node
from sam6d_ros.apps.environment import default_cache_dir
from sam6d_ros.apps.ros.demo.run import write_objects_file
from sam6d_ros.apps.ros.demo.scene import read_task
from sam6d_ros.apps.ros.node.domain import own_domain
from sam6d_ros.apps.ros.node.graph import Children, graph_environment
from sam6d_ros.evaluation.report import machine
from sam6d_ros.evaluation.synthetic import make_scene, write_bop
from sam6d_ros.runtime.memory import resident_bytes

MOST_RECOVERY_S = 5.0
BEFORE = 5  # measurements without faults, of which the median counts
PERIOD_S = 0.3  # mean time between two faults
FUTURE_S = 3600.0  # later stamps are of no image of the camera


def main() -> int:
    """Run the graph, print the figures and write JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.graph.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=15.0, help="images per second")
    parser.add_argument("--objects", type=int, default=2, help="registered objects, 1 to 6")
    parser.add_argument("--seed", type=int, default=1, help="of the choice of the faults")
    parser.add_argument("--out", type=Path, default=Path("bench_out"), metavar="DIR")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        result = chaos(60 * args.minutes, args.rate, args.objects, args.seed, Path(scratch))
    result = {
        "machine": machine(),
        "minutes": args.minutes,
        "seed": args.seed,
        "objects": args.objects,
        **result,
    }
    text = json.dumps(result, indent=1)
    (args.out / "chaos.json").write_text(text + "\n")
    print(text)
    recovered = max(result["recovery_s"].values()) <= MOST_RECOVERY_S
    return 0 if recovered and result["alive"] == len(NODES) else 1


def chaos(
    seconds: float, rate_hz: float, most_objects: int, seed: int, scratch: Path
) -> dict[str, Any]:
    """Faults for so many seconds after the first result; ``ChildDied`` if a node ends."""
    dataset = write_bop(make_scene(1, cache_dir=default_cache_dir()), scratch / "scene")
    task = read_task(dataset, None)
    models = [*task.models.values()][:most_objects]
    objects = write_objects_file(models, scratch / "objects.yaml")
    chance = random.Random(seed)
    with (
        own_domain() as domain_id,
        Children(graph_environment(domain_id, scratch), scratch) as children,
    ):
        reader = Reader(domain_id, list(RESULTS.values()), READY)
        nodes = {name: start_node(children, name, objects) for name in NODES}
        start_camera(children, task.scene_dir, rate_hz, READY, subscribers=len(NODES))
        reader.wait_for(lambda: all(reader.arrivals.values()), children)
        before = [recovery_s(reader, children) for _ in range(BEFORE)]
        faults = Faults(domain_id, nodes, seed)
        memory: dict[str, list[float]] = {name: [] for name in nodes}
        end, last = time.monotonic() + seconds, ""
        while time.monotonic() < end:
            last = faults.one()
            due = time.monotonic() + chance.expovariate(1 / PERIOD_S)
            reader.wait_for(lambda due=due: time.monotonic() > due, children)
            for name, child in nodes.items():
                memory[name].append(resident_bytes(child.pid) / MB)
        recovery = recovery_s(reader, children)
        counts = faults.counts
        faults.close()
        reader.close()
        alive = len(nodes)  # else ChildDied was raised
    return {
        "faults": counts,
        "alive": alive,
        "load": round(os.getloadavg()[2], 1),
        "last": last,
        "before_s": {n: float(np.median([one[n] for one in before])) for n in RESULTS},
        "recovery_s": recovery,
        "memory_mb": {name: fifths(values) for name, values in memory.items()},
    }


def recovery_s(reader: Reader, children: Children) -> dict[str, float]:
    """Seconds from now to the first result of an image of later than now, for each topic."""
    now = time.time()

    def first(topic: str) -> float | None:
        # faults have stamps in the far future, and results of them
        new = (at - now for stamp, at in reader.arrivals[topic] if now < stamp < now + FUTURE_S)
        return next(new, None)

    reader.wait_for(lambda: all(first(topic) is not None for topic in RESULTS.values()), children)
    return {name: round(first(topic) or 0.0, 2) for name, topic in RESULTS.items()}


def fifths(values: list[float]) -> list[float]:
    """Median of each fifth of the time."""
    return [round(float(np.median(part))) for part in np.array_split(values, 5) if len(part)]


if __name__ == "__main__":
    sys.exit(main())
