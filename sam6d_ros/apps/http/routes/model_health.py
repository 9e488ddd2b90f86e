"""Routes about the model server itself: health and metrics."""

from __future__ import annotations

import time

from fastapi import APIRouter
from fastapi import Request as HttpRequest
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from sam6d_ros.apps.http.model_server.services import models_of
from sam6d_ros.apps.http.routes.common import FAILURES
from sam6d_ros.apps.http.schemas.models import ModelHealth

router = APIRouter(tags=["server"])


@router.get("/health", response_model=ModelHealth, responses={503: {"model": ModelHealth}})
@router.head("/health", include_in_schema=False)
async def health(http: HttpRequest) -> Response:
    """Report the states of the models: 503 if there are models and none of them answers."""
    services = models_of(http)
    status, message = services.health()
    answer = ModelHealth(
        status=status,  # type: ignore[arg-type]
        message=message,
        timestamp=time.time(),
        uptime=time.monotonic() - services.started,
        models={report.spec.name: report.state.value for report in services.registry.list()},
    )
    return JSONResponse(answer.model_dump(), 503 if status == "unavailable" else 200)


@router.get("/metrics", response_class=PlainTextResponse, responses={401: FAILURES[401]})
async def metrics(http: HttpRequest) -> Response:
    """Return the metrics in Prometheus' text format."""
    return Response(models_of(http).metrics.text(), media_type=CONTENT_TYPE_LATEST)
