"""Malformed headers and paths, and the log lines of requests."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from concurrent.futures import Future

import httpx
import pytest

from sam6d_ros.apps.http.errors import response_to
from sam6d_ros.apps.http.waiting import result_for
from sam6d_ros.errors import InvariantError

PIPELINE = "/api/v1/full_pipeline"


def status_of(served, text: str) -> int:
    """Status of the answer to the bytes of a request."""
    url = httpx.URL(served.urls["pem"])
    with socket.create_connection((url.host, url.port), timeout=30) as connection:
        connection.sendall(text.encode())
        return int(connection.recv(4000).split()[1])


@pytest.mark.parametrize(
    "head",
    [
        "GET /health HTTP/1.1\r\nHost: [",
        "GET /health HTTP/1.1\r\nHost: [::1",
        "POST /health HTTP/1.1\r\nHost: localhost\r\nOrigin: http://[",
    ],
)
def test_malformed_addresses_in_headers_are_refused(served, head):
    assert status_of(served, f"{head}\r\nConnection: close\r\n\r\n") == 403


def test_health_answers_head_and_clients_without_host(served):
    assert status_of(served, "GET /health HTTP/1.0\r\n\r\n") == 200
    answer = served.pem.head("/health")
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_name_longer_than_file_systems_take(served, sample):
    body = {**sample, "cad_path": str(served.root / ("x" * 300))}
    answer = served.pem.post(PIPELINE, json=body)
    assert answer.status_code == 422, answer.text
    assert "does not exist" in answer.json()["error_message"]


def test_a_path_with_a_lone_surrogate(served, sample):
    text = json.dumps({**sample, "cad_path": "/\ud800"})
    headers = {"Content-Type": "application/json"}
    answer = served.pem.post(PIPELINE, content=text, headers=headers)
    assert answer.status_code in (400, 422), answer.text


def test_a_defect_is_logged_under_the_request_id(caplog):
    assert response_to(InvariantError("seven is not even"), "the-id").status_code == 500
    (record,) = caplog.records
    assert "the-id" in record.getMessage()
    assert "seven is not even" in str(record.exc_info[1])


def test_every_request_leaves_one_line(served, caplog):
    with caplog.at_level(logging.INFO, "sam6d_ros.apps.http.gate"):
        served.pem.get("/api/v1/status", headers={"X-Request-ID": "looked-for"})
        served.until(lambda: "looked-for" in caplog.text, "the line")
    (line,) = [r.getMessage() for r in caplog.records if "looked-for" in r.getMessage()]
    assert "GET /api/v1/status, status 200" in line


def test_a_route_that_is_cancelled_cancels_its_job():
    """As at the end of the server."""
    calls = []

    class Client:
        async def receive(self):
            await asyncio.Event().wait()

    async def cancelled() -> None:
        task = asyncio.ensure_future(result_for(Client(), Future(), lambda: calls.append(1)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert calls == [1]
