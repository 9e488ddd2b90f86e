"""Bounds on what waits: slow and many bodies, time that counts from the arrival, host names."""

from __future__ import annotations

import socket
import threading

import httpx
import pytest
from support.http_server import serving, settings_for

from sam6d_ros.apps.http import gate
from sam6d_ros.apps.http.auth import Gatekeeper
from sam6d_ros.apps.http.settings import PEM, Limits
from sam6d_ros.errors import CheckpointError

PIPELINE = "/api/v1/full_pipeline"
TOKEN = "a-token-of-enough-length"


def unfinished(url: str, sent: bytes, length: int) -> socket.socket:
    """Open a connection that states a body and sends only its beginning."""
    address = httpx.URL(url)
    connection = socket.create_connection((address.host, address.port), timeout=20)
    head = f"POST {PIPELINE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    connection.sendall(head.encode() + f"Content-Length: {length}\r\n\r\n".encode() + sent)
    return connection


def test_a_body_that_stops_is_ended(served, monkeypatch):
    monkeypatch.setattr(gate, "BODY_PART_S", 0.2)
    with unfinished(served.urls["pem"], b"{", 1000) as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 408")


def test_bodies_in_memory_are_bounded_together(http_cache, sample, monkeypatch):
    """Of two that are too much together, the one that came over the limit is refused."""
    monkeypatch.setattr(gate, "BODIES", 1)
    limits = Limits(body_bytes=2 * 2**20)
    with serving(settings_for(http_cache, role=PEM, limits=limits)) as server:
        most = limits.body_bytes
        with unfinished(server.urls["pem"], b" " * (most - 10), most) as connection:
            answer = server.pem.post(PIPELINE, json=sample)
            if answer.status_code == 200:  # it was read first
                assert connection.recv(4096).startswith(b"HTTP/1.1 503")
            else:
                assert answer.status_code == 503
                assert "memory" in answer.json()["error_message"]
        server.until(
            lambda: server.pem.post(PIPELINE, json=sample).status_code == 200, "room again"
        )


def test_time_before_the_engine_counts(served, sample, monkeypatch):
    """What reading and preparation took is not granted again."""
    before = served.services.convert
    held = threading.Event()

    async def slow(function, *args):
        held.wait(0.3)
        return await before(function, *args)

    monkeypatch.setattr(served.services, "convert", slow)
    answer = served.pem.post(PIPELINE, json={**sample, "timeout_s": 0.2})
    assert answer.status_code == 504
    assert "0.2 s" in answer.json()["error_message"]


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("192.168.1.5:8003", True),
        ("[::1]:8003", True),
        ("localhost:8003", True),
        (f"{socket.gethostname()}:8003", True),
        ("evil.example:8003", False),
        ("192.168.1.5.evil.example", False),
    ],
)
def test_names_of_other_sites_are_refused_on_the_network_without_a_token(host, allowed):
    assert (Gatekeeper("", "0.0.0.0").refusal("GET", {"host": host}) == "") is allowed
    assert Gatekeeper(TOKEN, "0.0.0.0").refusal("GET", {"host": host}) == ""


def test_health_tells_no_paths_without_the_token(http_cache):
    def build():
        raise CheckpointError("/srv/secret/sam.pth is truncated")

    with serving(settings_for(http_cache, token=TOKEN), build=build, ready=False) as server:
        known = {"Authorization": f"Bearer {TOKEN}"}
        server.until(
            lambda: "secret" in server.pem.get("/health", headers=known).text, "the failure"
        )
        assert "secret" not in server.pem.get("/health").text
        assert "loading failed" in server.pem.get("/health").text
