"""The process of a Triton server: start, readiness, logs, stop."""

from __future__ import annotations

import collections
import http.client
import logging
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from sam6d_ros.detectors.triton.environment import TritonEnvironment
from sam6d_ros.errors import BackendUnavailable, InvalidConfig

LOG = logging.getLogger(__name__)

HTTP_PORT, GRPC_PORT, METRICS_PORT = 8000, 8001, 8002  # Triton's own
USUAL_HOLDERS = {8000: "Ray Serve", 8002: "`sam6d serve ism`"}
READY_TIMEOUT_S = 30.0  # without models; 0.25 to 1 s on a free machine
EXIT_TIMEOUT_S = 5  # for open requests and connections
KILL_AFTER_S = 15.0  # from the signal to the kill, if it does not end
POLL_S = 0.05
SHARED_MEMORY_DIR = Path("/dev/shm")
LAST_LINES = 30  # of the log, kept to explain an early end


@dataclass(frozen=True)
class Address:
    """Ports of a server.

    Attributes:
        host: name or address of the interface.
        http: port of HTTP.
        grpc: port of gRPC.
        metrics: port of the metrics.
    """

    host: str = "127.0.0.1"
    http: int = HTTP_PORT
    grpc: int = GRPC_PORT
    metrics: int = METRICS_PORT

    @classmethod
    def free(cls) -> Address:
        """Return the loopback interface with ports that are free now.

        All are open at once, so that they differ. Another program may take one before the server.
        """
        with ExitStack() as stack:
            sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
            for one in sockets:
                one.bind(("127.0.0.1", 0))
            return cls("127.0.0.1", *(one.getsockname()[1] for one in sockets))

    def ports(self) -> dict[str, int]:
        """Return the ports by the name of Triton's option."""
        return {"http": self.http, "grpc": self.grpc, "metrics": self.metrics}


class TritonProcess:
    """One run of the server.

    Args:
        environment: Python environment that holds the server.
        repository: folder of models; none is loaded at start.
        address: where it listens.
        variables: environment variables of the caller.
        log: gets every line of the server's log.

    Raises:
        InvalidConfig: the repository is no folder.
        BackendUnavailable: a port is taken, or the server ended at once.
    """

    def __init__(
        self,
        environment: TritonEnvironment,
        repository: Path,
        address: Address,
        variables: Mapping[str, str],
        log: Callable[[str], None] = LOG.info,
    ) -> None:
        if not repository.is_dir():
            raise InvalidConfig(f"'{repository}' is no folder; give a model repository")
        for name, port in address.ports().items():
            _check_port(address.host, port, name)
        self.address = address
        self._scratch = Path(tempfile.mkdtemp(prefix="sam6d_triton_"))
        self._lines: collections.deque[str] = collections.deque(maxlen=LAST_LINES)
        self._log = log
        try:
            environment.write_backends(self._scratch / "backends")
            self._process = subprocess.Popen(
                self._command(environment, repository),
                env=environment.variables(dict(variables)),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,  # Ctrl-C reaches the caller, which then stops it in order
            )
        except BaseException:
            shutil.rmtree(self._scratch, ignore_errors=True)
            raise
        self._reader = threading.Thread(target=self._read, name="triton-log", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """Exit status, negative for a signal, or None while it runs."""
        return self._process.poll()

    def wait_ready(self, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Wait until the server answers.

        Raises:
            BackendUnavailable: it ended, or did not answer in time; its last lines are in the text.
        """
        deadline = time.monotonic() + timeout_s
        while not is_up(self.address):
            if self.exit_status is not None:
                self.stop()
                raise BackendUnavailable(f"Triton ended at its start: {self._explanation()}")
            if time.monotonic() > deadline:
                self.stop()
                raise BackendUnavailable(
                    f"Triton gave no answer within {timeout_s:.0f} s: {self._explanation()}"
                )
            time.sleep(POLL_S)

    def wait(self, timeout_s: float) -> int | None:
        """Wait for the end; return the exit status, or None if it still runs."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def stop(self) -> None:
        """End the server and remove what it leaves behind; a second call has no effect."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            if self.wait(KILL_AFTER_S) is None:
                LOG.warning("Triton did not end within %.0f s; killing it", KILL_AFTER_S)
                self._process.kill()
        self._process.wait()
        with suppress(ProcessLookupError):  # model processes of a killed server live on
            os.killpg(self.pid, signal.SIGKILL)
        self._reader.join(timeout=1.0)
        for region in SHARED_MEMORY_DIR.glob(f"{self._region_prefix}*"):
            region.unlink(missing_ok=True)
        shutil.rmtree(self._scratch, ignore_errors=True)

    @property
    def _region_prefix(self) -> str:
        return self._scratch.name  # unique: distinguishes the regions of a killed server

    def _command(self, environment: TritonEnvironment, repository: Path) -> list[str]:
        options = {
            "backend-directory": self._scratch / "backends",
            "model-repository": repository.resolve(),
            "model-control-mode": "explicit",
            "exit-timeout-secs": EXIT_TIMEOUT_S,
            "backend-config": f"python,shm-region-prefix-name={self._region_prefix}",
        }
        for name, port in self.address.ports().items():
            options |= {f"{name}-port": port, f"{name}-address": self.address.host}
        return [str(environment.server), *(f"--{key}={value}" for key, value in options.items())]

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line.rstrip())
            self._log(line.rstrip())

    def _explanation(self) -> str:
        self._reader.join(timeout=1.0)
        errors = [line for line in self._lines if line.startswith(("E", "error"))]
        return " | ".join((errors or list(self._lines))[-3:]) or "no output"


def is_up(address: Address, timeout_s: float = 1.0) -> bool:
    """Whether a server at the address reports that it is ready, whatever its models are."""
    connection = http.client.HTTPConnection(address.host, address.http, timeout=timeout_s)
    try:
        connection.request("GET", "/v2/health/ready")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _check_port(host: str, port: int, name: str) -> None:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        holder = USUAL_HOLDERS.get(port)
        hint = f"; {holder} usually holds it" if holder else ""
        raise BackendUnavailable(
            f"port {port} of {host} cannot be taken ({error.strerror}){hint}; "
            f"choose another: --{name}-port"
        ) from error
