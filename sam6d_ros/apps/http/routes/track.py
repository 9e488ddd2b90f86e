"""Routes of tracking sessions: known poses, followed from frame to frame.

A client chooses the name of its session; any client with the name may use it. The first request
states the poses in its frame (``poses``) or has them found (``detect``); the next ones send frames
only, in the order of capture. ``instance_id`` names one physical object as long as the session
lasts, also after an object was hidden and found again. A later request may state poses or detect
once more: an instance that drifted is corrected, new ones are followed from then on.

A session ends by ``DELETE``, or when it was unused for ``limits.session_s`` seconds; a server keeps
``limits.sessions`` at once. Requests of one session are answered in the order of their arrival.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from fastapi import Request as HttpRequest
from fastapi.responses import Response

from sam6d_ros.apps.http.encode import tracked_out
from sam6d_ros.apps.http.inputs import Images, decode_frame
from sam6d_ros.apps.http.limits import check_count
from sam6d_ros.apps.http.routes.common import FAILURES, Uploaded, parsed, png_or_json
from sam6d_ros.apps.http.schemas.track import SessionEnd, TrackAnswer, TrackRequest
from sam6d_ros.apps.http.services import Services, services_of
from sam6d_ros.apps.http.tracking.sessions import Session
from sam6d_ros.apps.http.tracking.work import Followed, follow, known_poses
from sam6d_ros.types import Frame

router = APIRouter(prefix="/api/v1/track", tags=["tracking"])
Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="of the session")]
Units = Annotated[Literal["mm", "m"], Query(description="unit of the translations")]


@router.post("/{session}", response_model=TrackAnswer, responses=FAILURES)
async def track(session: Name, body: TrackRequest, http: HttpRequest) -> Response:
    """Follow the instances of a session into one RGB-D frame; start it with poses or detect."""
    return await _track(http, session, body, Images.of(body))


@router.post("/{session}/upload", response_model=TrackAnswer, responses=FAILURES)
async def track_files(
    session: Name,
    http: HttpRequest,
    upload: Uploaded,
) -> Response:
    """Do the same with images as files, not in base64."""
    return await _track(http, session, parsed(TrackRequest, upload.fields), upload.images)


@router.get("/{session}", responses={k: FAILURES[k] for k in (401, 404, 422)})
async def show(session: Name, http: HttpRequest, units: Units = "mm") -> TrackAnswer:
    """Return the result of the newest frame again."""
    sessions = services_of(http).sessions
    found = sessions.find(session)
    newest = found.following.newest
    if newest is None:
        raise sessions.unknown(session)
    return _answer(http, found, newest, units)


@router.delete("/{session}", responses={k: FAILURES[k] for k in (401, 404, 422)})
async def end(session: Name, http: HttpRequest) -> SessionEnd:
    """End a session."""
    ended = services_of(http).sessions.end(session)
    return SessionEnd(
        request_id=http.state.request_id, session=session, frames=ended.following.frames
    )


async def _track(http: HttpRequest, name: str, body: TrackRequest, images: Images) -> Response:
    services = services_of(http)
    services.check_ready()
    left_s = services.left_of(http, body.timeout_s)
    async with services.sessions.turn(name, body.starts, left_s) as session:
        session.following.check_stamp(body.stamp)
        frame = await services.convert(decode_frame, body, images, services.settings.limits)
        frame = replace(frame, stamp_ns=body.stamp)
        result = await _followed(services, http, session, frame, body)
        services.catalogue.keep({pose.class_id for pose in result.poses.items})
        answer = await services.convert(_answer, http, session, result, body.units)
    return png_or_json(http, answer, None)


async def _followed(
    services: Services,
    http: HttpRequest,
    session: Session,
    frame: Frame,
    body: TrackRequest,
) -> Followed:
    """Follow in the compute thread; objects are prepared only if the request needs them."""
    async with AsyncExitStack() as stack:
        names: Sequence[str] = ()
        notes: tuple[str, ...] = ()
        if body.needs_objects:
            chosen = await stack.enter_async_context(services.catalogue.chosen(body))
            names, notes = chosen.names, chosen.notes
        check_count("poses", len(body.poses or ()), services.settings.limits.instances)
        given = known_poses(body, frame, names, services.host.objects.models)
        searched = names if body.detect else ()
        result = await services.run(
            http,
            lambda engine, ctx: follow(
                engine, ctx, session.following, frame, body, searched, given
            ),
            body.timeout_s,
            lambda result: result.poses.reason,
        )
    services.metrics.stages(result.timings_s)
    return replace(result, notes=notes + result.notes)


def _answer(
    http: HttpRequest, session: Session, result: Followed, units: Literal["mm", "m"]
) -> TrackAnswer:
    return TrackAnswer(
        request_id=http.state.request_id,
        session=session.name,
        stamp_ns=result.poses.stamp_ns,
        frames=session.following.frames,
        poses=tracked_out(result.poses, result.models, units),
        units=units,
        inference_time=result.seconds,
        reason=result.poses.reason,
        notes=list(result.notes),
        timings_s=dict(result.timings_s),
        expires_s=services_of(http).sessions.expires_s(session),
    )
