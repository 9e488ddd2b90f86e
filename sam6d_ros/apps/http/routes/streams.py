"""Routes of the video streams: list, add, test, edit, remove, and the live pictures."""

from __future__ import annotations

import asyncio
import base64
import json
import math
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query
from fastapi import Request as HttpRequest
from fastapi.responses import Response

from sam6d_ros.apps.http.model_server.live_response import LiveResponse
from sam6d_ros.apps.http.model_server.services import ModelServices, models_of
from sam6d_ros.apps.http.routes.common import FAILURES
from sam6d_ros.apps.http.routes.predict import result_of
from sam6d_ros.apps.http.schemas.streams import (
    StreamAnswer,
    StreamOut,
    StreamRequest,
    StreamsAnswer,
    TrialAnswer,
)
from sam6d_ros.runtime.streams import Entry, LivePicture, StreamSpec, StreamState, encode_jpeg

router = APIRouter(prefix="/streams", tags=["streams"])
T = TypeVar("T")
BOUNDARY = "frame"
MJPEG = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
EVENTS = "text/event-stream"


@router.get("", responses={401: FAILURES[401]})
async def list_streams(http: HttpRequest) -> StreamsAnswer:
    """List the streams with their states."""
    entries = models_of(http).streams.entries()
    return StreamsAnswer(
        request_id=http.state.request_id, streams=[stream_out(entry) for entry in entries]
    )


@router.post("", status_code=201, response_model=StreamAnswer, responses=FAILURES)
async def add(body: StreamRequest, http: HttpRequest) -> StreamAnswer:
    """Add a stream; it is restored after a restart. Its camera may be off at the moment."""
    services = models_of(http)
    entry = await _waited(services.streams.add, described(services, body))
    return StreamAnswer(request_id=http.state.request_id, stream=stream_out(entry))


@router.post("/test", responses=FAILURES)
async def try_address(
    body: StreamRequest,
    http: HttpRequest,
    id: Annotated[str | None, Query(max_length=64, description="of the edited stream")] = None,
) -> TrialAnswer:
    """Return a picture of an address within 3 s, or the reason why there is none."""
    services = models_of(http)
    trial = await _waited(services.streams.test, described(services, body, id))
    answer = TrialAnswer(
        request_id=http.state.request_id,
        live=trial.image_rgb is not None,
        reason=trial.reason,
        picture=None,
    )
    if trial.image_rgb is not None:
        answer.height, answer.width = trial.image_rgb.shape[:2]
        jpeg = await services.convert(encode_jpeg, trial.image_rgb)
        answer.picture = base64.b64encode(jpeg).decode("ascii")
    return answer


@router.get("/{id}", responses={k: FAILURES[k] for k in (401, 404)})
async def show(id: str, http: HttpRequest) -> StreamAnswer:
    """Describe one stream."""
    entry = models_of(http).streams.get(id)
    return StreamAnswer(request_id=http.state.request_id, stream=stream_out(entry))


@router.put("/{id}", response_model=StreamAnswer, responses=FAILURES)
async def edit(id: str, body: StreamRequest, http: HttpRequest) -> StreamAnswer:
    """Replace the settings of a stream; its viewers end."""
    services = models_of(http)
    entry = await _waited(services.streams.edit, id, described(services, body, id))
    return StreamAnswer(request_id=http.state.request_id, stream=stream_out(entry))


@router.delete("/{id}", responses={k: FAILURES[k] for k in (401, 403, 404)})
async def remove(id: str, http: HttpRequest) -> StreamAnswer:
    """Remove a stream; its viewers end."""
    entry = await _waited(models_of(http).streams.remove, id)
    return StreamAnswer(request_id=http.state.request_id, stream=stream_out(entry))


@router.get("/{id}/mjpeg", include_in_schema=False)
async def mjpeg(id: str, http: HttpRequest) -> Response:
    """Send the pictures as MJPEG, without end."""
    return LiveResponse(models_of(http).streams.get(id).live, jpeg_part, bytes, MJPEG)


@router.get("/{id}/detections", include_in_schema=False)
async def detections(id: str, http: HttpRequest) -> Response:
    """Send the results as server-sent events, without end."""
    entry = models_of(http).streams.get(id)
    return LiveResponse(entry.live, result_event, partial(state_event, entry), EVENTS)


# --- conversions


def described(services: ModelServices, body: StreamRequest, key: str | None = None) -> StreamSpec:
    """Return the description of a stream.

    Args:
        key: of the stream that is edited.
        services: models and streams.
        body: the request.

    Raises:
        InvalidInput: a field is unusable.
        UnknownName: there is no such stream or model.
    """
    if body.model:
        services.registry.get(body.model)
    return services.streams.described(body.model_dump(), key)


def stream_out(entry: Entry) -> StreamOut:
    """Return the description of a stream, without credentials."""
    spec, status, output = entry.spec, entry.stream.status, entry.live.status
    width, height = status.size or (None, None)
    return StreamOut(
        id=entry.key,
        name=spec.name,
        url=spec.shown,
        max_rate_hz=spec.max_rate_hz,
        transport=spec.transport,
        hardware=spec.hardware,
        loop=spec.loop,
        rate_hz=spec.rate_hz,
        model=spec.model,
        threshold=spec.threshold,
        state=status.state.value,
        reason=status.reason,
        retry_s=status.retry_s,
        width=width,
        height=height,
        input_rate_hz=status.rate_hz if status.state is StreamState.LIVE else 0.0,
        age_s=status.age_s,
        pictures=status.pictures,
        attempts=status.attempts,
        viewers=output.viewers,
        output_rate_hz=output.rate_hz,
        output_age_s=_finite(output.age.median),
        output_age_p95_s=_finite(output.age.p95),
        error=output.error,
    )


def jpeg_part(picture: LivePicture) -> bytes:
    """Return one picture as a part of MJPEG."""
    head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture.jpeg)}"
    return head.encode() + b"\r\n\r\n" + picture.jpeg + b"\r\n"


def result_event(picture: LivePicture) -> bytes:
    """Return the result of one picture as an event named ``detections``."""
    values: dict[str, Any] = {
        "number": picture.number,
        "stamp_ns": picture.stamp_ns,
        "age_s": picture.age_s,
        "width": picture.size[0],
        "height": picture.size[1],
        "error": picture.error,
        "num_detections": 0,
        "detections": [],
        "poses": None,
    }
    if picture.answer is not None:
        values |= result_of(picture.answer, picture.size).model_dump(exclude={"visualization"})
    return _event("detections", values)


def state_event(entry: Entry) -> bytes:
    """Return the state of a stream as an event named ``state``."""
    status = entry.stream.status
    return _event("state", {"state": status.state.value, "reason": status.reason})


def _event(name: str, values: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(values)}\n\n".encode()


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


async def _waited(function: Callable[..., T], *args: Any) -> T:
    """Run a function that waits for the network, in a thread of its own kind."""
    return await asyncio.get_running_loop().run_in_executor(None, function, *args)
