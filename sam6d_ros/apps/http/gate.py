"""First and last step of every request: id, headers, body limit, defects, metrics."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sam6d_ros.apps.http.auth import Gatekeeper
from sam6d_ros.apps.http.errors import DEFECT_TEXT, error_response
from sam6d_ros.apps.http.metrics import OTHER, Metrics
from sam6d_ros.runtime.request_log import working_for

log = logging.getLogger(__name__)

REQUEST_ID = "X-Request-ID"
BODY_PART_S = 20.0  # longest pause between two parts of a body
BODIES = 8  # bodies of the largest size that may be in memory at once
CLIENT_LEFT = 499  # of nginx, for logs and metrics; as in the error table
CLOSE = {"Connection": "close"}
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
# Without a token: probes, and what a browser needs to ask for it.
OPEN_PATHS = ("/", "/health", "/login", "/favicon.ico")
OPEN_PREFIX = "/ui/"
# Asked again and again: their log lines are of level DEBUG.
PROBES = ("/health", "/metrics", "/api/v1/requests/{request_id}")
PAGE_PATHS = ("/models", "/video", "/video-config")  # open if the page is asked for, not the JSON


class Gate:
    """ASGI middleware around all routes.

    Args:
        app: the routes.
        keeper: decides by the headers.
        body_bytes: largest body.
        metrics: counts of the requests.
        arrivals: gets the state of each POST request until it is answered, by request id.
    """

    def __init__(
        self,
        app: ASGIApp,
        keeper: Gatekeeper,
        body_bytes: int,
        metrics: Metrics,
        arrivals: dict[str, dict[str, Any]],
    ) -> None:
        self._app, self._keeper, self._metrics = app, keeper, metrics
        self._arrivals = arrivals
        self._body_bytes = body_bytes
        self._bodies = _Bodies(BODIES * body_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; other protocols (lifespan) pass through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get(REQUEST_ID, "")
        request_id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        with self._metrics.in_progress(), working_for(request_id):
            await self._serve(scope, receive, send, headers, request_id)

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, headers: Headers, request_id: str
    ) -> None:
        state = {"request_id": request_id, "arrived": time.monotonic()}
        scope.setdefault("state", {}).update(state)
        start, answer = time.perf_counter(), _Answer(send, request_id)
        try:
            refusal = self._refusal(scope, headers)
            if refusal is None:
                bounded = _Bounded(receive, self._body_bytes, self._bodies)
                if scope["method"] == "POST":
                    self._arrivals[request_id] = scope["state"]
                try:
                    await self._app(scope, bounded, answer)
                finally:
                    bounded.release()
                    self._arrivals.pop(request_id, None)
            else:
                status, text = refusal
                response = error_response(status, text, request_id, _challenge(status))
                await response(scope, receive, answer)
        except ClientDisconnect:  # while it sent its body; no answer can be read any more
            answer.status = answer.status or CLIENT_LEFT
        except Exception:  # the last resort: what no handler of the routes took
            log.exception("request %s failed", request_id)
            if not answer.status:
                response = error_response(500, DEFECT_TEXT, request_id)
                await response(scope, receive, answer)
        finally:
            seconds = time.perf_counter() - start
            route = getattr(scope.get("route"), "path", OTHER)
            self._metrics.report(scope["method"], route, answer.status, seconds)
            level = logging.DEBUG if route in PROBES else logging.INFO
            text = "request %s: %s %s, status %d, %.3f s"
            log.log(level, text, request_id, scope["method"], route, answer.status, seconds)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """Return status and reason if a request is refused by its headers."""
        if reason := self._keeper.refusal(scope["method"], headers):
            return 403, reason
        if not _is_open(scope, headers) and not self._keeper.admits(headers):
            return 401, "the token is missing or wrong; send Authorization: Bearer TOKEN"
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._body_bytes:
            return 413, too_large(self._body_bytes)
        return None


def _is_open(scope: Scope, headers: Headers) -> bool:
    """Whether a request needs no token."""
    path = scope["path"]
    if path in PAGE_PATHS:
        return scope["method"] == "GET" and wants_page(headers)
    return path in OPEN_PATHS or path.startswith(OPEN_PREFIX)


def wants_page(headers: Mapping[str, str]) -> bool:
    """Whether a client wants a page for people: browsers state it, other clients do not."""
    return "text/html" in headers.get("accept", "")


def _challenge(status: int) -> dict[str, str]:
    return {"WWW-Authenticate": "Bearer"} if status == 401 else {}


def too_large(most: int) -> str:
    """Return the message about a body that is too large."""
    return f"the body is larger than {most / 2**20:.0f} MiB; send smaller images, masks as RLE"


class _Answer:
    """``send`` that notes the status and adds the request id."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send, self._id = send, request_id
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers[REQUEST_ID] = self._id
            headers["X-Content-Type-Options"] = "nosniff"
        await self._send(message)


@dataclass
class _Bodies:
    """Bytes of all bodies in memory, and their limit."""

    most: int
    held: int = 0


class _Bounded:
    """``receive`` that ends a body which is too large or too slow, whatever its headers state.

    Args:
        receive: of the server.
        most: largest body.
        bodies: bytes of all bodies.
    """

    def __init__(self, receive: Receive, most: int, bodies: _Bodies) -> None:
        self._receive, self._most, self._bodies = receive, most, bodies
        self._seen, self._complete = 0, False

    async def __call__(self) -> Message:
        if self._complete:  # what follows is the end of the connection
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), BODY_PART_S)
        except asyncio.TimeoutError as error:
            text = f"no part of the body came for {BODY_PART_S:g} s"
            raise HTTPException(408, text, CLOSE) from error
        if message["type"] == "http.request":
            self._complete = not message.get("more_body", False)
            self._count(len(message.get("body", b"")))
        return message

    def _count(self, size: int) -> None:
        self._seen += size
        self._bodies.held += size
        if self._seen > self._most:
            raise HTTPException(413, too_large(self._most), CLOSE)
        if self._bodies.held > self._bodies.most:
            text = "the requests in progress hold too much memory; try again in 1 s"
            raise HTTPException(503, text, {**CLOSE, "Retry-After": "1"})

    def release(self) -> None:
        """Count the body no longer."""
        self._bodies.held -= self._seen
