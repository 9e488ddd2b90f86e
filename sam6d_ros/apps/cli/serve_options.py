"""Options that all services of `sam6d serve` share, and the start of their servers."""

from __future__ import annotations

import argparse
import math
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sam6d_ros.apps.http.settings import DEFAULT_PORTS, LOOPBACK, Limits
from sam6d_ros.errors import BackendUnavailable, InvalidConfig, install_extra

INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it


def add_network_options(parser: argparse.ArgumentParser, ports: Mapping[str, str]) -> None:
    """Declare address, ports and token.

    Args:
        ports: option of each service's port; its value is ``SERVICE_port``.
        parser: receives the options.
    """
    group = parser.add_argument_group("network")
    group.add_argument("--host", help=f"address to listen on (default: {LOOPBACK})")
    for service, option in ports.items():
        group.add_argument(
            option,
            dest=f"{service}_port",
            type=int,
            metavar="N",
            help=f"port (default: {DEFAULT_PORTS[service]}; 0 takes a free one)",
        )
    group.add_argument(
        "--token-file", type=Path, metavar="FILE", help="clients must send the token in this file"
    )


def add_root_option(group: argparse._ArgumentGroup, what: str) -> None:
    """Declare the folders of clients; ``what`` follows "folder in which clients may name"."""
    group.add_argument(
        "--allow-root",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help=f"folder in which clients may name {what} (default: none)",
    )


def add_log_option(group: argparse._ArgumentGroup) -> None:
    """Declare the folder of the log files."""
    group.add_argument(
        "--log-dir", type=Path, default=Path("log"), metavar="DIR", help="default: %(default)s"
    )


def add_limit_options(group: argparse._ArgumentGroup, waits: str = "wait") -> None:
    """Declare deadline and queue; ``waits`` follows "requests that" in the help text."""
    group.add_argument(
        "--deadline",
        type=float,
        default=Limits.deadline_s,
        metavar="S",
        help="seconds from a request to its answer (default: %(default)s)",
    )
    group.add_argument(
        "--queue",
        type=int,
        default=Limits.queue,
        metavar="N",
        help=f"requests that {waits}; further ones get status 429 (default: %(default)s)",
    )


def check_least(options: Mapping[str, Any], least: Mapping[str, float]) -> None:
    """Refuse options that are below their least value, or not finite; one not given passes.

    Raises:
        InvalidConfig: names the option.
    """
    for name, bound in least.items():
        value = options.get(name)
        if value is not None and not bound <= value < math.inf:
            option = name.replace("_", "-")
            raise InvalidConfig(f"--{option} is {value}; expected at least {bound}, finite")


@contextmanager
def interrupts_end() -> Iterator[None]:
    """Around the start of a server: SIGINT ends the process until the server takes it over.

    Some libraries catch KeyboardInterrupt while they are imported, and the start went on.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def web_libraries() -> Iterator[None]:
    """Around the import of a server.

    Raises:
        BackendUnavailable: one of its packages is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise BackendUnavailable(
            f"`sam6d serve` needs {error.name}, which is not installed; {install_extra('http')}"
        ) from error
