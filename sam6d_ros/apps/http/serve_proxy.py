"""Middleware of the HTTP proxies of Ray Serve: lost requests are sent again, refusals are named.

A proxy gives no answer of its own to a request whose replica died, and plain text to one that it
refuses. It loads ``middlewares`` by the variable of its process that ``replicas.PROXY_CALLBACK``
names.
"""

from __future__ import annotations

import logging
import uuid
from collections import deque
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sam6d_ros.apps.http.errors import error_response
from sam6d_ros.apps.http.gate import REQUEST_ID
from sam6d_ros.apps.http.settings import Limits

log = logging.getLogger(__name__)

IMPORT_PATH = f"{__name__}:middlewares"
ATTEMPTS = 2  # a request that kills its replica does not kill them all
OWN_PATHS = "/-/"  # of the proxy itself
CHANGING = "/api/v1/objects"  # the only requests that change anything
READING = ("GET", "HEAD")
RETRY_AFTER = {"Retry-After": "1"}
TIMED_OUT = 408  # of the proxy; ours is 504
REFUSALS = {404: 503, TIMED_OUT: 504, 429: 429, 503: 503}  # of the proxy, and ours
LOST = "the replica with this request died"


def middlewares() -> list[Middleware]:
    """Return the middlewares of a proxy; Ray Serve calls it in each."""
    return [Middleware(Resending)]


class Resending:
    """ASGI middleware that sends a request again whose replica died, and names refusals.

    Args:
        app: the proxy.
        body_bytes: largest body that is kept to be sent again.
    """

    def __init__(self, app: ASGIApp, body_bytes: int = Limits.body_bytes) -> None:
        self._app, self._body_bytes = app, body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; other protocols and the paths of the proxy pass through."""
        if scope["type"] != "http" or scope["path"].startswith(OWN_PATHS):
            await self._app(scope, receive, send)
            return
        request_id = _identified(scope)
        kept, answer = _Kept(receive, self._body_bytes), _Named(send, scope, request_id)
        for attempt in range(1, ATTEMPTS + 1):
            await self._app(dict(scope), kept.again(), answer)
            if answer.started or kept.client_left:
                return
            log.warning("request %s lost its replica, attempt %d", request_id, attempt)
            if not kept.is_complete or _changes(scope):
                break
        text = f"{LOST}; send it again" if attempt == 1 else f"{LOST}, {attempt} times"
        await _error(503, text, request_id, RETRY_AFTER)(scope, receive, send)


def _identified(scope: Scope) -> str:
    """Return the id of a request, the client's or a new one, which all attempts carry."""
    given = Headers(scope=scope).get(REQUEST_ID)
    if given:
        return given
    request_id = uuid.uuid4().hex
    scope["headers"] = [*scope["headers"], (REQUEST_ID.lower().encode(), request_id.encode())]
    return request_id


def _changes(scope: Scope) -> bool:
    """Whether a second attempt may find what the first one did."""
    return scope["path"].startswith(CHANGING) and scope["method"] not in READING


class _Kept:
    """``receive`` that keeps the body, so that it can be received again.

    Attributes:
        client_left: whether the connection ended.
    """

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive, self._most = receive, most
        self._kept: list[Message] = []
        self._bytes = 0
        self.client_left = False

    @property
    def is_complete(self) -> bool:
        """Whether nothing of what was received is lost."""
        return self._bytes <= self._most

    def again(self) -> Receive:
        """Return a ``receive`` that begins with the first message."""
        left = deque(self._kept)

        async def receive() -> Message:
            return left.popleft() if left else await self._next()

        return receive

    async def _next(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.client_left = True
            return message
        self._bytes += len(message.get("body", b""))
        if self.is_complete:
            self._kept.append(message)
        else:
            self._kept.clear()
        return message


class _Named:
    """``send`` that puts an error of the services in the place of one of the proxy.

    Attributes:
        started: whether an answer has begun.
    """

    def __init__(self, send: Send, scope: Scope, request_id: str) -> None:
        self._send, self._scope, self._id = send, scope, request_id
        self._refusal: Message | None = None
        self._text = b""
        self.started = False

    async def __call__(self, message: Message) -> None:
        self.started = True
        if message["type"] == "http.response.start" and _is_of_proxy(message):
            self._refusal = message
        elif self._refusal is None:
            await self._send(message)
        else:
            self._text += message.get("body", b"")
            if not message.get("more_body", False):
                await self._refuse(self._refusal["status"])

    async def _refuse(self, status: int) -> None:
        text = self._text.decode(errors="replace").strip() or "no reason was given"
        headers = {} if status == TIMED_OUT else RETRY_AFTER
        text = f"the fleet refuses this request: {text}"
        response = _error(REFUSALS[status], text, self._id, headers)
        await response(self._scope, _nothing, self._send)


def _error(status: int, text: str, request_id: str, headers: Mapping[str, str]) -> Response:
    return error_response(status, text, request_id, {**headers, REQUEST_ID: request_id})


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def _is_of_proxy(start: Message) -> bool:
    """Whether an answer is an error of the proxy: those of the services are JSON."""
    kind = MutableHeaders(scope=start).get("content-type", "")
    return start["status"] in REFUSALS and kind.startswith("text/plain")
