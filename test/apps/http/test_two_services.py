"""ISM and PEM as servers of their own: the full pipeline calls the ISM service over HTTP."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
from support.http_server import serving, settings_for

from sam6d_ros.apps.http.sample import png_base64
from sam6d_ros.apps.http.settings import ISM, PEM
from sam6d_ros.runtime.request import Request

PIPELINE, INFERENCE = "/api/v1/full_pipeline", "/api/v1/inference"
TOKEN = "one-token-for-both-services"


@pytest.fixture(scope="module")
def pair(http_cache):
    """An ISM server, and a PEM server that calls it; both want the token."""
    with ExitStack() as stack:
        ism = stack.enter_context(serving(settings_for(http_cache, role=ISM, token=TOKEN)))
        settings = settings_for(http_cache, role=PEM, token=TOKEN, ism_url=ism.urls["ism"] + "/")
        pem = stack.enter_context(serving(settings))
        for server in (ism, pem):
            for client in server.clients.values():
                client.headers["Authorization"] = f"Bearer {TOKEN}"
        yield ism, pem


def test_the_pipeline_gives_the_poses_of_one_process(pair, served, sample):
    ism, pem = pair
    apart = pem.pem.post(PIPELINE, json=sample).raise_for_status().json()
    together = served.pem.post(PIPELINE, json=sample).raise_for_status().json()
    assert apart["ism_result"]["num_detections"] == 1
    (one,), (other,) = (answer["pem_result"]["poses"] for answer in (apart, together))
    np.testing.assert_allclose(one["translation"], other["translation"], atol=1e-6)
    np.testing.assert_allclose(one["rotation"], other["rotation"], atol=1e-9)
    assert 'route="/api/v1/inference",status="200"' in ism.ism.get("/metrics").text


def test_a_segmentation_server_has_no_pose_routes(pair, sample):
    ism, _ = pair
    assert ism.ism.post(PIPELINE, json=sample).status_code == 404
    assert ism.ism.post(INFERENCE, json=sample).status_code == 200


def test_nothing_found_is_no_error(pair, sample):
    """The camera measured no depth."""
    _, pem = pair
    text = png_base64(np.zeros((480, 640), np.uint16))
    answer = pem.pem.post(PIPELINE, json={**sample, "depth_image": text}).raise_for_status().json()
    assert answer["success"] is True
    assert answer["pem_result"]["poses"] == []
    assert answer["ism_result"]["reason"]
    assert answer["pem_result"]["reason"] == answer["ism_result"]["reason"]


def test_what_ism_refuses_is_refused_with_its_reason(pair, sample):
    _, pem = pair
    answer = pem.pem.post(PIPELINE, json={**sample, "max_instances": 1, "timeout_s": 1e-3})
    assert answer.status_code == 504


def test_a_deadline_counts_for_both_halves(pair, sample):
    ism, pem = pair
    opened = threading.Event()
    ism.services.host.submit(Request(lambda *_: opened.wait(30), is_frame=False))
    try:
        answer = pem.pem.post(PIPELINE, json={**sample, "timeout_s": 0.5})
        assert answer.status_code == 504
        assert "ISM service" in answer.json()["error_message"]
    finally:
        opened.set()


@contextmanager
def answering(status: int, text: bytes, **headers: str):
    """A server that gives one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "text", "expected", "words"),
    [
        (200, b"{}", 500, "internal error"),
        (200, b"<html>", 500, "internal error"),
        (404, b"<html>", 404, "status 404"),
        (422, b'{"error_message": "mask"}', 422, "the ISM service: mask"),
        (429, b'{"error_message": "full"}', 429, "full"),
        (401, b'{"error_message": "token"}', 503, "token"),
        (503, b'{"error_message": "loading"}', 503, "loading"),
        (500, b"\xff\xfe", 503, "status 500"),
    ],
)
def test_answers_of_an_ism_service(http_cache, sample, status, text, expected, words):
    with (
        answering(status, text, Retry_After="7") as url,
        serving(settings_for(http_cache, role=PEM, ism_url=url)) as server,
    ):
        answer = server.pem.post(PIPELINE, json=sample)
    assert answer.status_code == expected, answer.text
    assert words in answer.json()["error_message"]
    assert answer.headers.get("Retry-After") == ("7" if expected == 429 else None)


def test_an_ism_service_that_is_not_there(http_cache, sample):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with serving(settings_for(http_cache, role=PEM, ism_url=url)) as server:
            answer = server.pem.post(PIPELINE, json=sample)
    assert answer.status_code == 503
    assert "cannot be reached" in answer.json()["error_message"]
