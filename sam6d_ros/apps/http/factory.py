"""Application factory: routes of one service around shared state."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

from fastapi import APIRouter, FastAPI

from sam6d_ros import __version__
from sam6d_ros.apps.http import errors
from sam6d_ros.apps.http.auth import Gatekeeper
from sam6d_ros.apps.http.gate import Gate
from sam6d_ros.apps.http.metrics import Metrics
from sam6d_ros.apps.http.routes import (
    health,
    ism,
    model_health,
    models,
    objects,
    pages,
    pem,
    predict,
    streams,
    track,
)
from sam6d_ros.apps.http.settings import FLEET, ISM, LOOPBACK, MODELS, PEM, TITLES, Address, Limits

ENGINE_ROUTERS = (health.router, objects.router)
ROUTERS: dict[str, tuple[APIRouter, ...]] = {
    ISM: (*ENGINE_ROUTERS, ism.router),
    PEM: (*ENGINE_ROUTERS, pem.router, track.router),
    FLEET: (*ENGINE_ROUTERS, ism.router, pem.router),
    MODELS: (model_health.router, predict.router, models.router, streams.router),
}
POSES = """6D poses of objects from an RGB-D frame and CAD models. A pose takes points of the
CAD model to the camera optical frame (OpenCV: x right, y down, z forward)."""
DETECTORS = """Many detectors at run time: boxes of named things in images. Boxes are in pixels of
the image: left, top, right, bottom edge; 0 is the outer edge of the first pixel."""
DESCRIPTIONS = {ISM: POSES, PEM: POSES, FLEET: POSES, MODELS: DETECTORS}


class SharedSettings(Protocol):
    """Settings that every service has."""

    @property
    def addresses(self) -> Mapping[str, Address]:
        """Address of each service."""

    @property
    def token(self) -> str:
        """Token that clients must send; empty for none."""

    @property
    def limits(self) -> Limits:
        """Bounds on requests."""


class Shared(Protocol):
    """State that the routes of a service share; its first application opens it, its last closes it.

    Attributes:
        metrics: counts of the requests.
    """

    metrics: Metrics

    @property
    def settings(self) -> SharedSettings:
        """Settings of the server."""

    async def open(self) -> None:
        """Begin to load; a failure leaves the server up, with the reason."""

    def interrupt(self) -> None:
        """End the answers that have no end of their own, when the server begins to end."""

    async def close(self) -> None:
        """Finish what waits and free everything."""


def create_app(services: Shared, service: str) -> FastAPI:
    """Return the application of one service.

    Args:
        services: shared state, of the kind that the routes of the service use.
        service: "ism", "pem", "fleet" or "models".
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await services.open()
        try:
            yield
        finally:
            await services.close()

    title = TITLES[service]
    text = DESCRIPTIONS[service]
    app = FastAPI(
        title=title,
        version=__version__,
        description=text,
        lifespan=lifespan,
        docs_url=None,  # ours: the framework's pages load scripts from other sites
        redoc_url=None,
    )
    app.state.services, app.state.title = services, title
    errors.install(app)
    for router in (pages.router_of(service), *ROUTERS[service]):
        app.include_router(router)
    pages.mount(app)
    settings = services.settings
    address = settings.addresses.get(service, Address(LOOPBACK, 0))
    app.state.arrivals = {}
    app.state.keeper = Gatekeeper(settings.token, address.host)
    app.add_middleware(
        Gate,
        keeper=app.state.keeper,
        body_bytes=settings.limits.body_bytes,
        metrics=services.metrics,
        arrivals=app.state.arrivals,
    )
    return app
