"""Node processes of a test; doubles come from one server, with their libraries imported already."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from sam6d_ros.apps.ros.node.graph import Children, Process

SERVER = Path(__file__).with_name("double_server.py")


class DoubleServer:
    """The program ``double_server.py``, one for a test run; it ends with this process."""

    def __init__(self) -> None:
        process = subprocess.Popen(
            [sys.executable, "-u", str(SERVER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            start_new_session=True,
        )
        assert process.stdin
        assert process.stdout
        self._process, self._to, self._from = process, process.stdin, process.stdout

    def request(self, what: object) -> int:
        """Send one line; returns the number of the answer."""
        self._to.write(json.dumps(what) + "\n")
        return int(self._from.readline())


server = cache(DoubleServer)


class ForkedProcess:
    """Process that the server has forked; what `Child` uses of `subprocess.Popen`."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        double = {"command": command, "env": env, "log": str(log), "folder": os.getcwd()}
        self.pid = server().request(double)
        self._end = os.pidfd_open(self.pid)
        self._status: int | None = None

    def poll(self) -> int | None:
        """Return the exit status, None while it runs."""
        return self._await_end(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; raises TimeoutExpired, as a Popen does."""
        status = self._await_end(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return status

    def _await_end(self, timeout_s: float | None) -> int | None:
        if self._status is None and select.select([self._end], [], [], timeout_s)[0]:
            os.close(self._end)
            self._status = server().request(self.pid)
        return self._status


class ForkedDoubles(Children):
    """Children whose doubles are forked; any other program starts as it does for a user."""

    def _launch(self, command: Sequence[str], env: Mapping[str, str], log: Path) -> Process:
        if Path(command[1]).parent == SERVER.parent:
            return ForkedProcess(command[1:], env, log)
        return super()._launch(command, env, log)
