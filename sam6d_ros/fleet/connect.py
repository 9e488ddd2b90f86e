"""Connection to a Ray cluster, or to one that is started on this machine."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from sam6d_ros.errors import BackendUnavailable, InvalidConfig, install_extra

log = logging.getLogger(__name__)

LOCAL = "local"  # address that starts Ray on this machine
AUTO = "auto"  # address of the cluster that runs on this machine
NAMESPACE = "sam6d_ros"
LOOPBACK = "127.0.0.1"
OBJECT_STORE_BYTES = 400 * 2**20  # of a local Ray; frames pass through it, and /dev/shm is small
ANSWER_S = 5.0  # to the first connection with a head node
TOKEN_FILE = Path(".ray", "auth_token")  # in the home folder, where Ray 2.60 writes it


def import_ray() -> ModuleType:
    """Return the module ``ray``.

    Raises:
        BackendUnavailable: it is not installed.
    """
    try:
        import ray
    except ModuleNotFoundError as error:
        raise BackendUnavailable(
            f"a fleet needs Ray, which is not installed; {install_extra('fleet')}"
        ) from error
    return ray


@contextmanager
def connected(address: str, **options: Any) -> Iterator[ModuleType]:
    """Connect to a cluster and disconnect at the end; a local Ray is started and stopped.

    Args:
        address: ``LOCAL``, ``AUTO`` or HOST:PORT of a head node.
        options: further ones of ``ray.init``.

    Yields:
        The module ``ray``.

    Raises:
        BackendUnavailable: Ray is not installed, does not start, or no cluster answers.
        InvalidConfig: the address is malformed.
    """
    ray = import_ray()
    if address not in (LOCAL, AUTO):
        check_head(address)
    stated = {"namespace": NAMESPACE, "log_to_driver": False, **options}
    stated.setdefault("logging_level", logging.WARNING)
    if address == LOCAL:
        stated = {**local_options(), **stated}
    try:
        ray.init(address, **stated)
    except (ConnectionError, RuntimeError, OSError, ray.exceptions.RayError) as error:
        raise BackendUnavailable(f"Ray at {address!r} cannot be used: {_advice(error)}") from error
    close_token_file()
    try:
        yield ray
    finally:
        ray.shutdown()


def local_options() -> dict[str, Any]:
    """Return options of ``ray.init`` that keep a local Ray small and off the network."""
    return {
        "include_dashboard": False,
        "object_store_memory": OBJECT_STORE_BYTES,
        "_node_ip_address": LOOPBACK,
    }


def check_head(address: str) -> None:
    """Refuse an address that nothing listens on: Ray itself would wait for minutes.

    Raises:
        InvalidConfig: it is no HOST:PORT.
        BackendUnavailable: nothing answers.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise InvalidConfig(
            f"the address of the cluster is {address!r}; expected HOST:PORT of the head node, "
            f"{AUTO!r} or {LOCAL!r}"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_S).close()
    except OSError as error:
        raise BackendUnavailable(
            f"no Ray head node answers at {address} ({error}); start one by "
            "`ray start --head`, or leave the address out to use this machine alone"
        ) from error


def close_token_file() -> None:
    """Keep others from reading the token that Ray wrote."""
    path = Path.home() / TOKEN_FILE
    with suppress(OSError):
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)


def _advice(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    if "token" in text.lower():
        return f"{text}; set RAY_AUTH_MODE and RAY_AUTH_TOKEN alike on all machines (docs/fleet.md)"
    return text
