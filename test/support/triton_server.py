"""A Triton server of the tests: its supervisor, address and log."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sam6d_ros.detectors.triton.process import Address
from sam6d_ros.detectors.triton.supervisor import Supervisor


@dataclass
class Served:
    """The server, its address, and all lines of its log."""

    supervisor: Supervisor
    address: Address
    log: list[str]

    @property
    def urls(self) -> dict[str, str]:
        host = self.address.host
        return {"http": f"{host}:{self.address.http}", "grpc": f"{host}:{self.address.grpc}"}

    def model_process(self, name: str) -> int:
        """Process id of a model's only instance."""
        pid = self.supervisor.process.pid
        tasks = Path(f"/proc/{pid}/task").glob("*/children")
        children = [child for task in tasks for child in task.read_text().split()]
        wanted = f"\0{name}_0_0\0".encode()
        (found,) = (c for c in children if wanted in Path(f"/proc/{c}/cmdline").read_bytes())
        return int(found)
