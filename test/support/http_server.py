"""HTTP services in a thread of the test process, on free ports, with real clients."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from sam6d_ros.apps.http.connections import PromptProtocol
from sam6d_ros.apps.http.factory import create_app
from sam6d_ros.apps.http.serve import bound
from sam6d_ros.apps.http.services import Services
from sam6d_ros.apps.http.settings import LOOPBACK, SERVICES, Address, ServerSettings
from sam6d_ros.config import PipelineConfig
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.runtime.request import Request

READY_S = 120.0
TIMEOUT_S = 120.0


@dataclass
class Served:
    """Running services: shared state, one client and one address for each."""

    services: Services
    clients: dict[str, httpx.Client]
    urls: dict[str, str]
    root: Path

    @property
    def ism(self) -> httpx.Client:
        return self.clients["ism"]

    @property
    def pem(self) -> httpx.Client:
        return self.clients["pem"]

    def until(self, condition: Callable[[], object], what: str, timeout_s: float = 30.0) -> None:
        """Wait until a condition holds; fail with what was waited for."""
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, f"waited {timeout_s} s for {what}"
            time.sleep(0.01)


class Gate:
    """Holds the compute thread of a server until `open` is called."""

    def __init__(self, services: Services) -> None:
        self._opened, self.held = threading.Event(), threading.Event()
        services.host.submit(Request(self._hold, is_frame=False))
        assert self.held.wait(10)

    def _hold(self, engine: Engine, ctx: Any) -> None:
        self.held.set()
        assert self._opened.wait(60)

    def open(self) -> None:
        self._opened.set()

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *_: object) -> None:
        self.open()


def settings_for(cache_dir: Path, **changes: Any) -> ServerSettings:
    """Settings of a test: both services, geometric backend, loopback."""
    config = changes.pop("config", PipelineConfig(backend="geometric"))
    return ServerSettings(config=config, cache_dir=cache_dir, **changes)


@contextmanager
def serving(
    settings: ServerSettings,
    root: Path = Path("/nonexistent"),
    build: Callable[[], Engine] | None = None,
    ready: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Served]:
    """Serve while the block runs.

    Args:
        root: folder that the settings allow, for `Served.root`.
        build: makes the engine in place of the real one.
        ready: wait until the engine serves.
        clock: of the sessions.
    """
    services = Services(settings, build, clock)
    with ExitStack() as stack:
        urls, clients = {}, {}
        for name in SERVICES[settings.role]:
            app = create_app(services, name)
            urls[name] = stack.enter_context(running(app))
            client = httpx.Client(base_url=urls[name], timeout=TIMEOUT_S)
            clients[name] = stack.enter_context(client)
        served = Served(services, clients, urls, root)
        if ready:
            served.until(lambda: not services.obstacle(), "the engine", READY_S)
        yield served


@contextmanager
def running(app: Any) -> Iterator[str]:
    listener = bound(Address(LOOPBACK, 0))
    config = uvicorn.Config(
        app, log_config=None, http=PromptProtocol, access_log=False, timeout_graceful_shutdown=5
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield f"http://{LOOPBACK}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive(), "the server did not end"
