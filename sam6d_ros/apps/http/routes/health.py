"""Routes about the server itself: health, status, metrics, sample, progress."""

from __future__ import annotations

import math
import time
from typing import Any

from fastapi import APIRouter
from fastapi import Request as HttpRequest
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from sam6d_ros import __version__
from sam6d_ros.apps.http.routes.common import FAILURES
from sam6d_ros.apps.http.schemas.common import Health, Status
from sam6d_ros.apps.http.services import PREPARE, services_of
from sam6d_ros.errors import UnknownName

router = APIRouter(tags=["server"])


@router.get("/health", response_model=Health, responses={503: {"model": Health}})
@router.head("/health", include_in_schema=False)
async def health(http: HttpRequest) -> Response:
    """Report whether requests are served: 200, or 503 with the reason."""
    services = services_of(http)
    obstacle, notice = services.obstacle(), services.notice
    if not http.app.state.keeper.admits(http.headers):  # no text that names paths
        obstacle, notice = obstacle and services.state, ""
    answer = Health(
        status="unavailable" if obstacle else "healthy",
        message=obstacle or notice or "Server is running",
        timestamp=time.time(),
        replicas=None if services.replicas is None else await services.convert(services.replicas),
    )
    values = answer.model_dump(exclude={"replicas"} if services.replicas is None else None)
    return JSONResponse(values, 503 if obstacle else 200)


@router.get("/api/v1/status", responses={401: FAILURES[401]})
async def status(http: HttpRequest) -> Status:
    """Report the state of the server in detail."""
    services = services_of(http)
    snapshot, counts = services.host.status.snapshot(), services.host.counts
    objects = list(services.host.objects.models)
    medians = {name: spread.median for name, spread in snapshot.figures.stages.items()}
    return Status(
        server="draining" if services.draining else "running",
        version=__version__,
        model_loaded=services.host.loaded,
        templates_loaded=bool(objects),
        cad_loaded=bool(objects),
        device=snapshot.device or None,
        backend=snapshot.backend or None,
        num_templates=services.num_templates,
        uptime=time.monotonic() - services.started,
        objects=objects,
        queue_length=counts.waiting,
        queue_capacity=services.settings.limits.queue,
        rejected=counts.rejected,
        sessions=len(services.sessions),
        state=snapshot.state.value,
        last_error=snapshot.last_error,
        timings_s={name: value for name, value in medians.items() if math.isfinite(value)},
    )


@router.get("/metrics", response_class=PlainTextResponse, responses={401: FAILURES[401]})
async def metrics(http: HttpRequest) -> Response:
    """Return the metrics in Prometheus' text format."""
    return Response(services_of(http).metrics.text(), media_type=CONTENT_TYPE_LATEST)


@router.get("/test/sample", responses={401: FAILURES[401]})
async def sample(http: HttpRequest) -> dict[str, Any]:
    """Return a request body that inference, pose estimation and full pipeline accept."""
    services = services_of(http)
    return await services.convert(services.sample.body)


@router.get("/api/v1/requests/{request_id}", responses={k: FAILURES[k] for k in (401, 404)})
async def progress(request_id: str, http: HttpRequest) -> dict[str, Any]:
    """Report the stage of a request in progress: prepare, queue, one of the engine, or answer."""
    if job := services_of(http).running.get(request_id):
        return {"request_id": request_id, "stage": job.stage, "elapsed_s": job.elapsed_s}
    arrival = http.app.state.arrivals.get(request_id)
    if arrival is None:
        raise UnknownName("no request of this id is in progress")
    elapsed_s = time.monotonic() - arrival["arrived"]
    stage = arrival.get("stage", PREPARE)
    return {"request_id": request_id, "stage": stage, "elapsed_s": elapsed_s}
