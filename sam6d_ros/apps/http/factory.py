"""Application factory: routes of one service around shared state."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from sam6d_ros import __version__
from sam6d_ros.apps.http import errors
from sam6d_ros.apps.http.auth import Gatekeeper
from sam6d_ros.apps.http.gate import Gate
from sam6d_ros.apps.http.routes import health, ism, objects, pages, pem
from sam6d_ros.apps.http.services import Services
from sam6d_ros.apps.http.settings import ISM, LOOPBACK, PEM, TITLES, Address

ROUTERS: dict[str, tuple[APIRouter, ...]] = {
    ISM: (ism.router,),
    PEM: (pem.router,),
}
DESCRIPTION = """6D poses of objects from an RGB-D frame and CAD models. A pose takes points of the
CAD model to the camera optical frame (OpenCV: x right, y down, z forward)."""


def create_app(services: Services, service: str) -> FastAPI:
    """Return the application of one service.

    Args:
        services: shared state; the first application that starts loads the engine, the last one
            that ends frees it.
        service: "ism" or "pem".
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await services.open()
        try:
            yield
        finally:
            await services.close()

    title = TITLES[service]
    app = FastAPI(title=title, version=__version__, description=DESCRIPTION, lifespan=lifespan)
    app.state.services, app.state.title = services, title
    errors.install(app)
    for router in (health.router, objects.router, *ROUTERS[service], pages.router):
        app.include_router(router)
    pages.mount(app)
    settings = services.settings
    address = settings.addresses.get(service, Address(LOOPBACK, 0))
    app.state.keeper = Gatekeeper(settings.token, address.host)
    app.add_middleware(
        Gate,
        keeper=app.state.keeper,
        body_bytes=settings.limits.body_bytes,
        report=services.metrics.report,
    )
    return app
