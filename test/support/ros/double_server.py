"""Program that starts doubles of nodes without their imports, which take 1.5 s of processor time.

It imports once what they all need, and forks a process for each line of standard input: a JSON
object with the command, environment, working directory and log file of a double. The answer is the
process's number. A line with a number alone asks for the exit status of that process.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import engine_double  # noqa: F401 - beside this file; the doubles have it already
import tracking_double  # noqa: F401

from sam6d_ros.apps.ros import (  # noqa: F401
    one_process,
    pose_node,
    segmentation_node,
    tracking_node,
)

SIGNAL_SET = 128  # bytes of glibc's sigset_t


def carry_tracers_over_forks() -> None:
    """Let LTTng, which rclpy's libraries load, end and begin its threads around a fork.

    Its exit handler cancels the threads of the process in which it was loaded. lttng-ust(3) has
    these functions for programs that cannot preload liblttng-ust-fork.so.
    """
    loaded = Path("/proc/self/maps").read_text()
    for path in set(
        re.findall(r"/\S+/liblttng-ust-\w+\.so[.\d]*|/\S+/liblttng-ust\.so\S*", loaded)
    ):
        tracer, signals = ctypes.CDLL(path), ctypes.create_string_buffer(SIGNAL_SET)
        prefix = "lttng_ust" if hasattr(tracer, "lttng_ust_before_fork") else "ust"
        if not hasattr(tracer, f"{prefix}_before_fork"):
            continue
        moments = ("before_fork", "after_fork_parent", "after_fork_child")
        before, parent, child = (getattr(tracer, f"{prefix}_{name}") for name in moments)
        os.register_at_fork(
            before=lambda call=before, to=signals: call(to),
            after_in_parent=lambda call=parent, to=signals: call(to),
            after_in_child=lambda call=child, to=signals: call(to),
        )


def serve() -> dict[str, Any] | None:
    """Answer requests; returns in each process that is forked, with its own, and at the end."""
    for line in sys.stdin:
        request = json.loads(line)
        if isinstance(request, int):
            _, status = os.waitpid(request, 0)
            print(os.waitstatus_to_exitcode(status), flush=True)
        elif os.fork() == 0:
            return dict(request)
    return None


def become(double: dict[str, Any]) -> None:
    """Make this process that of a double, and report its number."""
    os.setsid()
    log = os.open(double["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.write(1, f"{os.getpid()}\n".encode())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.clear()
    os.environ.update(double["env"])
    os.chdir(double["folder"])
    sys.argv = double["command"]


if __name__ == "__main__":
    carry_tracers_over_forks()
    if double := serve():
        become(double)
        runpy.run_path(sys.argv[0], run_name="__main__")
