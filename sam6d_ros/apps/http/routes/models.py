"""Routes of the models: list, load, show, statistics, warm-up, unload."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi import Request as HttpRequest

from sam6d_ros.apps.http.model_server.services import ModelServices, models_of
from sam6d_ros.apps.http.routes.common import FAILURES
from sam6d_ros.apps.http.schemas.models import (
    ModelAnswer,
    ModelOut,
    ModelRequest,
    ModelsAnswer,
    SpreadOut,
    StatsAnswer,
    WarmupAnswer,
)
from sam6d_ros.apps.http.waiting import result_for
from sam6d_ros.runtime.model_server.host import ModelReport
from sam6d_ros.runtime.model_server.spec import LIMITS, ModelSpec
from sam6d_ros.runtime.model_server.stats import Distribution

router = APIRouter(prefix="/models", tags=["models"])
_MOST_RUNS = int(LIMITS["warm_up_runs"][1])


@router.get("", responses={401: FAILURES[401]})
async def list_models(http: HttpRequest) -> ModelsAnswer:
    """List the models with their states."""
    services = models_of(http)
    reports = services.registry.list()
    names, default = [report.spec.name for report in reports], services.settings.default_model
    return ModelsAnswer(
        request_id=http.state.request_id,
        models=[model_out(report) for report in reports],
        default_model=default if default in names else names[0] if len(names) == 1 else None,
    )


@router.post("", status_code=201, response_model=ModelAnswer, responses=FAILURES)
async def register(body: ModelRequest, http: HttpRequest) -> ModelAnswer:
    """Load a model; the answer comes once it serves. It is restored after a restart."""
    services = models_of(http)
    spec = await services.convert(spec_of, services, body)
    load = services.registry.replace if _replaces(services, body) else services.registry.register
    report = await asyncio.wrap_future(load(spec))
    return ModelAnswer(request_id=http.state.request_id, model=model_out(report))


@router.get("/{name}", responses={k: FAILURES[k] for k in (401, 404)})
async def show(name: str, http: HttpRequest) -> ModelAnswer:
    """Describe one model."""
    report = models_of(http).registry.get(name)
    return ModelAnswer(request_id=http.state.request_id, model=model_out(report))


@router.delete("/{name}", responses={k: FAILURES[k] for k in (401, 403, 404)})
async def unload(name: str, http: HttpRequest) -> ModelAnswer:
    """Unload a model after the requests that wait for it."""
    registry = models_of(http).registry
    report = registry.get(name)
    await asyncio.get_running_loop().run_in_executor(None, registry.unload, name)
    return ModelAnswer(request_id=http.state.request_id, model=model_out(report))


@router.get("/{name}/stats", responses={k: FAILURES[k] for k in (401, 404)})
async def stats(name: str, http: HttpRequest) -> StatsAnswer:
    """Return counts and times of a model."""
    figures = models_of(http).registry.stats(name)
    return StatsAnswer(
        request_id=http.state.request_id,
        model=name,
        images=figures.images,
        errors=figures.errors,
        calls=figures.calls,
        images_per_s=figures.images_per_s,
        phases_ms={phase: _spread(s, 1e3) for phase, s in figures.phases_s.items()},
        batch=_spread(figures.batch),
    )


@router.post("/{name}/warmup", responses=FAILURES)
async def warm_up(
    name: str,
    http: HttpRequest,
    runs: Annotated[int, Query(ge=1, le=_MOST_RUNS, description="of the model")] = 1,
) -> WarmupAnswer:
    """Run a model several times on an empty image, in its turn."""
    services = models_of(http)
    future = services.registry.warm_up(name, runs, services.settings.limits.deadline_s)
    seconds = await result_for(http, future, future.cancel)
    return WarmupAnswer(request_id=http.state.request_id, model=name, runs=runs, seconds=seconds)


def spec_of(services: ModelServices, body: ModelRequest) -> ModelSpec:
    """Return the spec of a request.

    Raises:
        NotAllowed, InvalidInput: its source is outside the allowed folders, or holds no model.
        InvalidConfig: a value is unusable.
    """
    values: dict[str, Any] = body.model_dump(exclude={"replace"})
    if values["use_cuda_stream"] is None:
        values["use_cuda_stream"] = services.settings.use_cuda_stream
    values["source"] = services.source_of(body.source)
    return ModelSpec(**values)


def _replaces(services: ModelServices, body: ModelRequest) -> bool:
    return body.replace and any(r.spec.name == body.name for r in services.registry.list())


def model_out(report: ModelReport) -> ModelOut:
    """Return the description of a model."""
    spec, figures = report.spec, report.figures
    return ModelOut(
        name=spec.name,
        source=spec.source,
        state=report.state.value,
        reason=report.reason,
        backend=report.backend,
        device=report.device or spec.device,
        labels=list(report.labels),
        threshold=spec.threshold,
        max_batch=spec.batch_limit,
        max_delay_ms=spec.max_delay_ms,
        capacity=spec.capacity,
        metrics=spec.metrics,
        isolated=spec.isolated,
        memory_bytes=report.memory_bytes,
        waiting=report.waiting,
        rejected=report.rejected,
        images=figures.images,
        errors=figures.errors,
        images_per_s=figures.images_per_s,
    )


def _spread(spread: Distribution, factor: float = 1.0) -> SpreadOut:
    values = {key: value * factor for key, value in asdict(spread).items() if key != "count"}
    return SpreadOut(count=spread.count, **values)
