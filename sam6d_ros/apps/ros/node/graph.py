"""Node processes that another process starts, watches and stops (demo, tests)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from sam6d_ros.apps.resources import shipped
from sam6d_ros.apps.ros.node.parent import VARIABLE as PARENT
from sam6d_ros.errors import Sam6dError

STOP_TIMEOUT_S = 8.0
LOG_TAIL_CHARACTERS = 3000
PROFILE = "FASTDDS_DEFAULT_PROFILES_FILE"
MODULES = {"pipeline": "one_process"}  # of executables with another name, as in CMakeLists.txt


class ChildDied(Sam6dError):
    """A node process ended by itself; the message ends with its log."""


def graph_environment(domain_id: int, log_dir: Path) -> dict[str, str]:
    """Return the variables for a graph of its own on this machine, which needs no network.

    The Fast DDS profile carries large images; one that the user has set stays.
    """
    profile = os.environ.get(PROFILE) or str(shipped("config/fastdds.xml") or "")
    return {
        "ROS_DOMAIN_ID": str(domain_id),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_LOG_DIR": str(log_dir),
        "PYTHONUNBUFFERED": "1",
        **({PROFILE: profile} if profile else {}),
    }


def module_of(executable: str) -> str:
    """Return the module of an executable of this package."""
    return f"sam6d_ros.apps.ros.{MODULES.get(executable, executable)}"


def parameter_arguments(parameters: Mapping[str, object]) -> list[str]:
    """``-p name:=value`` for each, with the value in JSON, so that a text stays a text."""
    arguments = []
    for name, value in parameters.items():
        # JSON is YAML; rcl reads no tags and no multi-line values.
        text = json.dumps(str(value) if isinstance(value, Path) else value)
        arguments += ["-p", f"{name}:={text}"]
    return arguments


class Process(Protocol):
    """Members of ``subprocess.Popen`` that are used here."""

    pid: int

    def poll(self) -> int | None:
        """Return the exit status, None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status once it has ended."""


class Child:
    """One process in a session of its own, with its output in a file."""

    def __init__(self, name: str, process: Process, log: Path):
        self.name, self.log, self._process = name, log, process

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def output(self) -> str:
        """Return its output so far."""
        return self.log.read_text(errors="replace")

    def check(self) -> None:
        """Raises ChildDied when it is not running any more."""
        code = self._process.poll()
        if code is not None:
            tail = self.output()[-LOG_TAIL_CHARACTERS:]
            raise ChildDied(f"{self.name} ended with status {code}; its log {self.log}:\n{tail}")

    def interrupt(self) -> None:
        """Ask it to end, as Ctrl-C does."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGINT)

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Its exit status; it is killed when it takes too long."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            return self._process.wait()


class Children:
    """Starts node processes; all are stopped when the context ends, however it ends."""

    def __init__(self, env: Mapping[str, str], log_dir: Path) -> None:
        self.env, self._log_dir = dict(env), log_dir
        self.running: list[Child] = []

    def start(
        self,
        name: str,
        parameters: Mapping[str, object],
        arguments: Sequence[str] = (),
        program: Sequence[str] = (),
    ) -> Child:
        """Start the executable ``name``, or another program, with ROS arguments."""
        program = program or ("-m", module_of(name))
        ros_arguments = ["--ros-args", *parameter_arguments(parameters), *arguments]
        return self.start_command(name, [sys.executable, *program, *ros_arguments])

    def start_command(self, name: str, command: Sequence[str]) -> Child:
        """Start any command under a name, with the graph's environment."""
        log = self._log_dir / f"{len(self.running)}_{name}.log"
        env = {**os.environ, **self.env, PARENT: str(os.getpid())}
        self.running.append(Child(name, self._launch(command, env, log), log))
        return self.running[-1]

    def _launch(self, command: Sequence[str], env: Mapping[str, str], log: Path) -> Process:
        with log.open("wb") as out:
            return subprocess.Popen(
                command,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def check(self) -> None:
        """Raises ChildDied when any of them is not running any more."""
        for child in self.running:
            child.check()

    def stop(self) -> None:
        """Stop them all, at once."""
        for child in self.running:
            child.interrupt()
        for child in self.running:
            child.wait()

    def __enter__(self) -> Children:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
