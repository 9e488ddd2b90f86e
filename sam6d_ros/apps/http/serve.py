"""Servers of one process: sockets, log files, uvicorn, and an orderly end."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from sam6d_ros.apps.http.auth import is_loopback
from sam6d_ros.apps.http.connections import PromptProtocol
from sam6d_ros.apps.http.factory import create_app
from sam6d_ros.apps.http.model_server.services import ModelServices
from sam6d_ros.apps.http.model_server.settings import ModelServerSettings
from sam6d_ros.apps.http.services import Services
from sam6d_ros.apps.http.settings import MODELS, SERVICES, USUAL_HOLDERS, Address, ServerSettings
from sam6d_ros.errors import BackendUnavailable
from sam6d_ros.runtime.build import build_engine
from sam6d_ros.runtime.memory import limit_arenas
from sam6d_ros.runtime.model_server.host import Opener
from sam6d_ros.runtime.model_server.pose_model import SCHEME, pose_model_opener
from sam6d_ros.runtime.request_log import RequestIdFilter

log = logging.getLogger(__name__)

CONNECTIONS = 256  # and requests at once; further ones get 503
DRAIN_S = 10  # for requests in progress, after a signal to end
# A slow viewer of a stream gets pictures from the server's buffers, which would otherwise grow to
# 4 MB of old ones; and a connection whose peer takes nothing is closed.
TCP_OPTIONS = {socket.TCP_NOTSENT_LOWAT: 128 * 1024, socket.TCP_USER_TIMEOUT: 30_000}
ARENAS = 2  # heaps of malloc, see limit_arenas
LOG_BYTES, LOG_FILES = 10 * 2**20, 5
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s%(request)s: %(message)s"


def serve(settings: ServerSettings) -> int:
    """Serve until a signal.

    Returns:
        Exit code.

    Raises:
        BackendUnavailable: a port is taken, or an address is not of this machine.
    """
    services = Services(settings)
    start_log(settings)
    for note in settings.notes:
        log.warning("%s", note)
    names = SERVICES[settings.role]
    apps = {name: create_app(services, name) for name in names}
    return run_servers(apps, settings.addresses, settings.token)


def serve_models(settings: ModelServerSettings) -> int:
    """Serve models until a signal.

    Returns:
        Exit code.

    Raises:
        BackendUnavailable: the port is taken, or the address is not of this machine.
    """
    limit_arenas(ARENAS)  # threads of models and streams come and go
    start_log(settings)
    for note in settings.notes:
        log.warning("%s", note)
    app = create_app(ModelServices(settings, openers_of(settings)), MODELS)
    return run_servers({MODELS: app}, settings.addresses, settings.token)


def openers_of(settings: ModelServerSettings) -> dict[str, Opener]:
    """Return what opens the sources of models that are no detectors."""
    spec = settings.poses
    return {} if spec is None else {SCHEME: pose_model_opener(lambda: build_engine(spec))}


def run_servers(apps: Mapping[str, FastAPI], addresses: Mapping[str, Address], token: str) -> int:
    """Run one server for each application until SIGINT or SIGTERM; return the exit code."""
    sockets = {name: bound(addresses[name]) for name in apps}
    for name, listener in sockets.items():
        _announce(name, listener, addresses[name], token)
    asyncio.run(_run([(apps[name], sockets[name]) for name in apps]))
    return 0


def bound(address: Address) -> socket.socket:
    """Return a listening socket.

    Raises:
        BackendUnavailable: the port is taken, or the address is not of this machine.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # asyncio sets TCP_NODELAY only for sockets that state their protocol; without it an answer
    # waits 40 ms for the acknowledgement of its head.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for option, value in TCP_OPTIONS.items():  # connections inherit them
        listener.setsockopt(socket.IPPROTO_TCP, option, value)
    try:
        listener.bind((address.host, address.port))
    except OSError as error:
        listener.close()
        raise BackendUnavailable(_taken(address, error)) from error
    return listener


def _taken(address: Address, error: OSError) -> str:
    if error.errno != errno.EADDRINUSE:
        return f"{address.host}:{address.port} cannot be opened: {error.strerror}"
    holder = USUAL_HOLDERS.get(address.port)
    usual = f"; this port is usually that of {holder}" if holder else ""
    return f"port {address.port} of {address.host} is taken{usual}. Choose another one (--port)"


def _announce(name: str, listener: socket.socket, address: Address, token: str) -> None:
    host, port = listener.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    print(f"{name}: {url} (page: {url}/, docs: {url}/docs)", flush=True)
    if not token and not is_loopback(address.host):
        log.warning(
            "%s listens on %s, open to the network without a token; give --token-file",
            name,
            address.host,
        )


class _Server(uvicorn.Server):
    """Server whose signals are handled for all servers of the process together."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _run(served: list[tuple[FastAPI, socket.socket]]) -> None:
    servers = [
        _Server(
            uvicorn.Config(
                app,
                log_config=None,
                # Without it the parser depends on what else is installed; Ray brings another one.
                http=PromptProtocol,
                ws="none",
                access_log=False,
                limit_concurrency=CONNECTIONS,
                server_header=False,
                timeout_graceful_shutdown=DRAIN_S,
            )
        )
        for app, _ in served
    ]
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _ender(servers, [app for app, _ in served]))
    listeners = [listener for _, listener in served]
    await asyncio.gather(*(s.serve(sockets=[x]) for s, x in zip(servers, listeners, strict=True)))


def _ender(servers: list[_Server], apps: list[FastAPI]) -> Callable[[], None]:
    def end() -> None:
        for app in apps:
            app.state.services.interrupt()
        for server in servers:
            server.force_exit = server.should_exit  # the second signal does not wait
            server.should_exit = True

    return end


def start_log(settings: ServerSettings | ModelServerSettings) -> None:
    """Log to stderr and, with a folder, to files of the role's name and the time of the start."""
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    problem = ""
    if settings.log_dir is not None:
        name = f"{settings.role}_server_{time.strftime('%Y%m%d_%H%M%S')}.log"
        try:
            handlers.append(_file_handler(settings.log_dir / name))
        except OSError as error:
            problem = f"no log file in {settings.log_dir}: {error.strerror}; set --log-dir"
    for handler in handlers:
        handler.addFilter(RequestIdFilter())
    logging.basicConfig(level=settings.log_level, format=LOG_FORMAT, handlers=handlers, force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    if problem:
        log.warning("%s", problem)


def _file_handler(path: Path) -> logging.Handler:
    path.parent.mkdir(parents=True, exist_ok=True)
    return RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=LOG_FILES)
