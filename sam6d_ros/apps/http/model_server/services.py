"""State of a model server: registry, streams, threads, metrics."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from fastapi import Request as HttpRequest

from sam6d_ros.apps.http.limits import Roots
from sam6d_ros.apps.http.metrics import Metrics
from sam6d_ros.apps.http.model_server.metrics import ANSWERING, ModelCollector
from sam6d_ros.apps.http.model_server.settings import ModelServerSettings
from sam6d_ros.apps.http.model_server.stream_metrics import StreamCollector
from sam6d_ros.detectors.table import model_file
from sam6d_ros.errors import InvalidConfig, InvalidInput, Sam6dError
from sam6d_ros.runtime.folder_lock import FolderLock
from sam6d_ros.runtime.model_server.host import ModelReport, ModelState, Opener
from sam6d_ros.runtime.model_server.models_file import ModelsFile
from sam6d_ros.runtime.model_server.pose_model import SCHEME
from sam6d_ros.runtime.model_server.registry import Registry
from sam6d_ros.runtime.model_server.spec import REMOTE, ModelSpec
from sam6d_ros.runtime.streams import (
    Address,
    Analysis,
    SourcePolicy,
    StreamSet,
    StreamSpec,
    by_model,
)
from sam6d_ros.runtime.streams.address import Kind

_LOG = logging.getLogger(__name__)
T = TypeVar("T")
POSES = "poses"  # name of the model of the pose pipeline
CONVERTERS = 2  # threads that decode and encode
MAX_PORT = 65535
_HOST_AND_PORT = re.compile(
    r"(//)?(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,253})(:(?P<port>[0-9]{1,5}))?/", re.ASCII
)


class ModelServices:
    """State that the routes of a model server share.

    Args:
        settings: of the server.
        openers: what opens a source, by the text before its colon; see ``Registry``.
    """

    def __init__(
        self, settings: ModelServerSettings, openers: Mapping[str, Opener] | None = None
    ) -> None:
        self.settings, self.started = settings, time.monotonic()
        folder = settings.data_dir
        file = None if folder is None else ModelsFile(folder / "models.json")
        self.registry = Registry(openers, file, settings.registry)
        self.roots = Roots.of((), settings.roots)
        self._lock = None if folder is None else FolderLock(folder)
        self._policy = SourcePolicy(settings.networks, settings.roots, settings.devices)
        self.streams = StreamSet(
            self._policy,
            None if folder is None else folder / "streams.json",
            self._analysis_of,
        )
        self.metrics = Metrics(
            ModelCollector(self.registry.list), StreamCollector(self.streams.entries)
        )
        self._threads = ThreadPoolExecutor(CONVERTERS, "convert")

    async def open(self) -> None:
        """Begin to load the models and to read the streams; failures are listed with reasons."""
        self.registry.restore()
        self.streams.restore()
        for spec in (*self.settings.models, *_pose_models(self.settings)):
            try:
                self.registry.register(spec, keep=False)
            except Sam6dError as error:  # restored under this name, by the wish of a client
                _LOG.warning("model '%s' of the settings is not loaded: %s", spec.name, error)

    async def close(self) -> None:
        """End all streams, free all models and end the threads."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self.streams.close)
        await loop.run_in_executor(None, self.registry.close)
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._lock is not None:
            self._lock.release()

    async def convert(self, function: Callable[..., T], *args: Any) -> T:
        """Run a conversion in a thread of its own kind."""
        call = partial(copy_context().run, function, *args)  # keeps the request id of log lines
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def interrupt(self) -> None:
        """End the viewers of streams, whose answers have no end of their own."""
        self.streams.close(0.0)

    def model_named(self, name: str | None) -> str:
        """Return the name of the model that answers a request.

        Args:
            name: as the request states it; None takes the default one, or the only one.

        Raises:
            UnknownName: no model has this name.
            InvalidInput: the request names none, and there are several or none.
        """
        if name is not None:
            return self.registry.get(name).spec.name
        known = [report.spec.name for report in self.registry.list()]
        if self.settings.default_model in known:
            return self.settings.default_model
        if len(known) != 1:
            raise InvalidInput(f"the request names no model; give ?model=, one of {known}")
        return known[0]

    def source_of(self, text: str) -> str:
        """Return the source of a model that a client names: an address, or a file below a root.

        Raises:
            NotAllowed: a path outside the allowed folders, or a host outside the allowed networks.
            InvalidInput: no such file or host, or no model in the folder.
        """
        if text.startswith(REMOTE):
            self._check_host(text)
            return text
        try:
            path = self.roots.readable(text, "source")
            self.roots.readable(str(model_file(path)), "source")  # it may be a link
        except (OSError, InvalidConfig) as error:
            raise InvalidInput(f"source {text!r:.300} holds no model: {error}") from error
        return str(path)

    def _check_host(self, source: str) -> None:
        """Apply the rules on cameras to the host of a model elsewhere.

        Raises:
            NotAllowed: its network is not allowed.
            InvalidInput: it is no host and port, or its name is unknown.
        """
        scheme, _, rest = source.partition(":")
        found = _HOST_AND_PORT.match(rest)
        port = int(found["port"] or 0) if found else 0
        if found is None or port > MAX_PORT:  # not shown: it may have a password
            raise InvalidInput(
                f"source is no {scheme}://HOST:PORT/MODEL, without a user and with a port up to "
                f"{MAX_PORT}"
            )
        host = found["host"].strip("[]")
        self._policy.resolve(Address(Kind.NETWORK, "", scheme, host, port))

    def _analysis_of(self, spec: StreamSpec) -> Analysis | None:
        """Return the analysis of a stream: by its model, or none."""
        if not spec.model:
            return None
        most_s = self.settings.limits.deadline_s
        submit = partial(self.registry.submit, spec.model, timeout_s=most_s)
        return by_model(submit, spec.threshold, most_s)

    def health(self) -> tuple[str, str]:
        """Return status and message: healthy, degraded, or unavailable if no model answers."""
        reports = self.registry.list()
        down = [report for report in reports if report.state not in ANSWERING]
        broken = [report for report in reports if report.state is ModelState.FAILED]
        message = "; ".join(_line(report) for report in (*down, *broken))
        if reports and len(down) == len(reports):
            return "unavailable", message
        if message:
            return "degraded", message
        return "healthy", "Server is running" if reports else "Server is running without a model"


def _pose_models(settings: ModelServerSettings) -> tuple[ModelSpec, ...]:
    """Return the model of the pose pipeline, if the settings have one."""
    if settings.poses is None:
        return ()
    source = f"{SCHEME}:{settings.poses.objects_file}"
    limits = settings.limits
    return (ModelSpec(POSES, source, timeout_s=limits.deadline_s, capacity=limits.queue),)


def _line(report: ModelReport) -> str:
    reason = f" ({report.reason})" if report.reason else ""
    return f"model '{report.spec.name}': {report.state.value}{reason}"


def models_of(http: HttpRequest) -> ModelServices:
    """Return the services of the application that serves a request."""
    services: ModelServices = http.app.state.services
    return services
