"""Time from Ctrl-C to the end of a program, at random moments of its start and its search.

    python -m benchmarks.graph.interrupts [--trials 20] [--seed 1]

Each trial starts a node on a camera made of files, or `sam6d eval`, sends SIGINT after a random
time, and notes the seconds until the process has ended, its status, tracebacks in its output and
processes that it left. In every other trial the whole process group gets the signal, as from a
terminal; in one of four the cache is empty, so that loops are compiled and objects onboarded. The
exit status is 1 if an end took over 3 s, or was not clean.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.graph.harness import REMAPPING_ARGUMENTS, start_camera
from benchmarks.graph.orphans import has_orphans
from benchmarks.graph.soak import NODES
from sam6d_ros.apps.environment import default_cache_dir
from sam6d_ros.apps.ros.demo.run import write_objects_file
from sam6d_ros.apps.ros.demo.scene import read_task
from sam6d_ros.apps.ros.node.domain import own_domain
from sam6d_ros.apps.ros.node.graph import (
    Children,
    graph_environment,
    module_of,
    parameter_arguments,
)
from sam6d_ros.evaluation.report import machine
from sam6d_ros.evaluation.synthetic import make_scene, write_bop

MOST_S = 3.0
# Python itself prints a traceback if it is interrupted before it runs the first line of a program.
FIRST_MOMENT_S = 0.3
LAST_MOMENT_S = 25.0  # of the start and the first searches on two cores
GIVEN_UP_S = 20.0
COMMAND = "sam6d eval"
CLEAN = (0, 130, -signal.SIGINT)
CAMERA_HZ = 5.0


def main() -> int:
    """Run the trials, print the figures and write JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.graph.interrupts", description=__doc__
    )
    parser.add_argument("--trials", type=int, default=20, help="of each program")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--out", type=Path, default=Path("bench_out"), metavar="DIR")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        trials = run_trials(args.trials, random.Random(args.seed), Path(scratch))
    result = {"machine": machine(), "seed": args.seed, "load": round(os.getloadavg()[2], 1)}
    result |= {"programs": summary(trials), "unclean": [t for t in trials if not is_clean(t)]}
    text = json.dumps(result, indent=1)
    (args.out / "interrupts.json").write_text(text + "\n")
    print(text)
    return 0 if all(is_clean(t) and t["seconds"] <= MOST_S for t in trials) else 1


def run_trials(count: int, chance: random.Random, scratch: Path) -> list[dict[str, Any]]:
    """Interrupt each program so many times."""
    dataset = write_bop(make_scene(1, cache_dir=default_cache_dir()), scratch / "scene")
    task = read_task(dataset, None)
    objects = write_objects_file([*task.models.values()], scratch / "objects.yaml")
    programs = {name: node_command(name, objects) for name in NODES}
    evaluate = ["-m", "sam6d_ros.apps.cli.start", "eval", str(dataset), "--backend", "geometric"]
    programs[COMMAND] = evaluate
    trials = []
    with (
        own_domain() as domain_id,
        Children(graph_environment(domain_id, scratch), scratch) as children,
    ):
        start_camera(children, task.scene_dir, CAMERA_HZ, [""], subscribers=0)
        for number in range(count):
            for name, command in programs.items():
                cache = {"XDG_CACHE_HOME": tempfile.mkdtemp(dir=scratch)} if not number % 4 else {}
                moment = chance.uniform(FIRST_MOMENT_S, LAST_MOMENT_S)
                one = trial(command, {**children.env, **cache}, moment, group=bool(number % 2))
                trials.append({"program": name, "cold": bool(cache), **one})
                print(f"{name}: {one['seconds']} s, status {one['status']}", file=sys.stderr)
                children.check()
    return trials


def node_command(name: str, objects: Path) -> list[str]:
    """Return the arguments of Python for a node on the camera."""
    parameters = {"objects_file": objects, "backend": "geometric"}
    arguments = ["--ros-args", *parameter_arguments(parameters), *REMAPPING_ARGUMENTS]
    return ["-m", module_of(name), *arguments]


def trial(
    command: Sequence[str], env: Mapping[str, str], moment_s: float, group: bool
) -> dict[str, Any]:
    """Start a program, interrupt it after a time, and wait for its end."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, *command],
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(moment_s)  # `sam6d eval` may be done already
        except subprocess.TimeoutExpired:
            status = None
        sent = time.monotonic()
        if status is None:
            (os.killpg if group else os.kill)(process.pid, signal.SIGINT)
            status = ended(process)
        seconds = time.monotonic() - sent
        orphans = has_orphans(process.pid)
        output.seek(0)
        text = output.read().decode(errors="replace")
    return {
        "moment_s": round(moment_s, 2),
        "seconds": round(seconds, 2),
        "status": status,
        "orphans": orphans,
        "output": text[-2000:] if "Traceback" in text else "",
    }


def ended(process: subprocess.Popen[bytes]) -> int:
    """Wait for the end; a process that does not end is killed."""
    try:
        return process.wait(GIVEN_UP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def is_clean(trial: Mapping[str, Any]) -> bool:
    """Return whether a program ended with a right status, without traceback and orphan."""
    return trial["status"] in CLEAN and not trial["output"] and not trial["orphans"]


def summary(trials: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return the number of trials, and median and most seconds, of each program."""
    names = dict.fromkeys(trial["program"] for trial in trials)
    seconds = {n: [t["seconds"] for t in trials if t["program"] == n] for n in names}
    return {
        name: {
            "trials": len(values),
            "median_s": round(float(np.median(values)), 2),
            "most_s": max(values),
        }
        for name, values in seconds.items()
    }


if __name__ == "__main__":
    sys.exit(main())
