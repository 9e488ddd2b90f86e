"""Services on Ray Serve: one engine per replica, objects shared by all replicas.

``build`` is the ``import_path`` of a configuration file of Ray Serve (config/serve.yaml).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from sam6d_ros.apps.environment import default_cache_dir, worker_environment
from sam6d_ros.apps.http import serve_proxy
from sam6d_ros.apps.http.auth import read_token
from sam6d_ros.apps.http.factory import create_app
from sam6d_ros.apps.http.services import Services
from sam6d_ros.apps.http.settings import (
    FLEET,
    FLEET_PORT,
    LOOPBACK,
    Address,
    Limits,
    ServerSettings,
)
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.cad.object_entry import ObjectEntry
from sam6d_ros.cad.objects import read_objects_file
from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import Sam6dError
from sam6d_ros.fleet import replicas
from sam6d_ros.fleet.connect import connected
from sam6d_ros.fleet.shared_objects import SharedObjects, UploadedObject
from sam6d_ros.runtime.objects import ObjectChange
from sam6d_ros.stages.backends import AUTO

log = logging.getLogger(__name__)


class FleetServices(Services):
    """State of one replica; the replica opens it before its application does."""

    async def open(self) -> None:
        """Begin to load the engine, unless that has begun."""
        if not self._users:
            await super().open()


class ServedPoses:
    """Segmentation and poses of one replica.

    Args:
        settings: of the server; uploads are shared, hence no ``data_dir``.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._services = FleetServices(settings)
        self._services.sharing = self
        self._services.replicas = replicas.replica_states
        self.app = create_app(self._services, FLEET)
        self._shared = SharedObjects()
        self._versions: dict[str, int] = {}  # of the shared objects that are here
        self._of_file: set[str] = set()
        self._configured = False
        self._turn = asyncio.Lock()

    # --- for the replica

    async def start(self) -> None:
        """Load the engine and the objects that were uploaded to other replicas."""
        await self._services.open()
        await asyncio.wrap_future(self._services.loading)
        await self.synchronise()

    async def reconfigure(self, config: Mapping[str, Any]) -> None:
        """Take the objects of ``config["objects"]``, an objects file, in place of its last one.

        A file that is unusable changes nothing: Ray Serve would end a replica that raises, one
        after another, until no replica is left. ``/health`` names it.

        Raises:
            Sam6dError: the first file, or one of its meshes, is unusable.
        """
        try:
            await self._read(config.get("objects"))
        except Sam6dError as error:
            if not self._configured:
                raise
            log.error("kept the present objects: %s", error)
            self._services.notice = f"kept the present objects: {error}"
        else:
            self._configured, self._services.notice = True, ""

    async def _read(self, path: str | None) -> None:
        entries = read_objects_file(Path(path)) if path else []
        names = {entry.name for entry in entries}
        here = set(self._services.host.objects.models)
        gone = tuple((self._of_file - names) & here)
        async with self._services.changing:
            change = ObjectChange(put=tuple(entries), remove=gone)
            await asyncio.wrap_future(self._services.host.change(change))
            self._of_file = names

    async def synchronise(self) -> None:
        """Take the changes of uploaded objects."""
        async with self._turn:
            news = await self._shared.news(self._versions)
            for name in [*self._versions]:
                if name not in news.versions:
                    await self._forget(name)
            for name, uploaded in news.new.items():
                await self._take(uploaded, news.versions[name])

    def obstacle(self) -> str:
        """Return why the replica cannot work; empty if it can."""
        return "" if self._services.host.active else self._services.obstacle()

    # --- for the routes

    async def put(self, model: ObjectModel, entry: ObjectEntry) -> None:
        """Share an object that was uploaded here; all replicas have it afterwards.

        Raises:
            NotReady: the cluster does not answer.
        """
        async with self._turn:
            version = await self._shared.put(UploadedObject(model, entry))
            self._versions[entry.name] = version
        await replicas.synchronise_all()

    async def drop(self, name: str) -> None:
        """Drop an object that was deleted here, on all replicas.

        Raises:
            NotReady: the cluster does not answer.
        """
        async with self._turn:
            self._versions.pop(name, None)
            await self._shared.drop(name)
        await replicas.synchronise_all()

    async def _take(self, uploaded: UploadedObject, version: int) -> None:
        services, name = self._services, uploaded.entry.name
        async with services.changing:
            settings = {name: uploaded.entry.settings}
            change = ObjectChange(put=(uploaded.model,), settings=settings)
            await asyncio.wrap_future(services.host.change(change))
            services.store.entries[name] = uploaded.entry
            self._versions[name] = version

    async def _forget(self, name: str) -> None:
        services = self._services
        async with services.changing:
            if name in services.host.objects.models:
                await asyncio.wrap_future(services.host.change(ObjectChange.drop(name)))
            services.store.entries.pop(name, None)
            self._versions.pop(name, None)


class FleetArgs(BaseModel):
    """Arguments of the application in a configuration file; as the options of `sam6d serve all`."""

    model_config = ConfigDict(extra="forbid")

    backend: str = AUTO
    backend_options: str = ""
    device: str = "auto"
    weights: Path | None = None
    cache_dir: Path | None = None
    token_file: Path | None = None
    allow_root: list[Path] = []
    min_score: float | None = None
    max_instances: int = PipelineConfig.max_instances
    deadline: float = Limits.deadline_s
    queue: int = Limits.queue
    host: str = LOOPBACK

    def settings(self) -> ServerSettings:
        """Return the settings of each replica.

        Raises:
            InvalidConfig: a value is unusable.
        """
        cache_dir = self.cache_dir or default_cache_dir()
        config = PipelineConfig(
            backend=self.backend,
            backend_options=self.backend_options,
            device=self.device,
            weights_dir=self.weights or cache_dir / "weights",
            min_score=self.min_score,
            max_instances=self.max_instances,
        )
        return ServerSettings(
            addresses={FLEET: Address(self.host, FLEET_PORT)},
            config=config,
            cache_dir=cache_dir,
            token=read_token(self.token_file) if self.token_file else "",
            roots=tuple(self.allow_root),
            limits=Limits(deadline_s=self.deadline, queue=self.queue),
        )


def build(args: dict[str, Any]) -> Any:
    """Return the application of a configuration file; its deployments state the replicas.

    Args:
        args: fields of ``FleetArgs``.

    Raises:
        InvalidConfig: a value is unusable.
    """
    settings = FleetArgs.model_validate(args).settings()
    return replicas.application(partial(ServedPoses, settings))


def deploy(
    settings: ServerSettings, scaling: replicas.Scaling, user_config: Mapping[str, Any]
) -> None:
    """Deploy the services on the connected cluster, or update them.

    Raises:
        BackendUnavailable: no replica starts.
    """
    address = settings.addresses[FLEET]
    app = replicas.application(partial(ServedPoses, settings), scaling, user_config)
    replicas.deploy(app, address.host, address.port, settings.limits.deadline_s)


@contextmanager
def connected_services(address: str) -> Iterator[None]:
    """Connect to a cluster as ``fleet.connect.connected``, to deploy the services there."""
    with connected(address, **replicas.job_options(serve_proxy.IMPORT_PATH)):
        yield


def environment() -> dict[str, str]:
    """Return the variables of the processes of replicas."""
    return worker_environment()
