"""Middleware of a proxy that loses replicas: requests are sent again, refusals are JSON."""

from __future__ import annotations

import asyncio
import json

import pytest

for _module in ("fastapi", "httpx"):
    pytest.importorskip(_module, reason="missing: pip install -e '.[http]'")

import httpx  # noqa: E402
from starlette.responses import JSONResponse, PlainTextResponse  # noqa: E402

from sam6d_ros.apps.http.gate import REQUEST_ID  # noqa: E402
from sam6d_ros.apps.http.serve_proxy import ATTEMPTS, Resending  # noqa: E402

pytestmark = pytest.mark.http
PATH = "/api/v1/inference"
BODY = b"0123456789"


class Proxy:
    """Proxy whose replicas die at the first requests: it gives no answer then, as that of Ray."""

    def __init__(self, deaths: int, response=None) -> None:
        self.deaths, self.bodies, self.ids = deaths, [], []
        self._response = response or JSONResponse({"success": True})

    async def __call__(self, scope, receive, send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.bodies.append(body)
        self.ids.append(dict(scope["headers"])[REQUEST_ID.lower().encode()])
        if len(self.bodies) > self.deaths:
            await self._response(scope, receive, send)


def post(proxy, path=PATH, **options):
    async def parts():
        for i in range(len(BODY)):
            yield BODY[i : i + 1]

    async def send():
        transport = httpx.ASGITransport(Resending(proxy, **options), raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://fleet") as client:
            return await client.post(path, content=parts())

    return asyncio.run(send())


def test_a_request_whose_replica_died_is_sent_again_whole():
    proxy = Proxy(deaths=1)
    answer = post(proxy)
    assert answer.status_code == 200
    assert proxy.bodies == [BODY, BODY]
    assert len(set(proxy.ids)) == 1


@pytest.mark.parametrize(
    ("path", "options", "attempts"),
    [(PATH, {}, ATTEMPTS), ("/api/v1/objects", {}, 1), (PATH, {"body_bytes": len(BODY) - 1}, 1)],
    ids=["deadly", "changes objects", "large"],
)
def test_a_request_that_is_not_sent_again_is_refused_by_name(path, options, attempts):
    proxy = Proxy(deaths=9)
    answer = post(proxy, path, **options)
    assert answer.status_code == 503
    assert "replica with this request died" in answer.json()["error_message"]
    assert answer.json()["request_id"] == proxy.ids[0].decode()
    assert answer.headers["Retry-After"]
    assert proxy.bodies == attempts * [BODY]


@pytest.mark.parametrize(("status", "ours"), [(404, 503), (408, 504), (503, 503)])
def test_refusals_of_the_proxy_become_errors_of_the_services(status, ours):
    answer = post(Proxy(0, PlainTextResponse("16 requests wait", status)))
    assert answer.status_code == ours
    assert "16 requests wait" in answer.json()["error_message"]


def test_errors_of_a_replica_pass_as_they_are():
    error = {"success": False, "error_message": "no object is named 'cup'", "request_id": "a"}
    answer = post(Proxy(0, JSONResponse(error, 404)))
    assert answer.status_code == 404
    assert json.loads(answer.content) == error


def test_paths_of_the_proxy_pass_as_they_are():
    async def app(scope, receive, send):
        await PlainTextResponse("draining", 503)(scope, receive, send)

    assert post(app, "/-/healthz").text == "draining"
