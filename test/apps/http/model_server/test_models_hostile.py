"""Hostile and broken input to the model server: a clear 4xx answer, and the server goes on."""

from __future__ import annotations

import base64
import json
import logging
import socket
import time

import cv2
import httpx
import numpy as np
import pytest
from support.http_hostile import png_header, refused
from support.model_server import picture, png, text

from sam6d_ros.apps.http import connections
from sam6d_ros.runtime.memory import resident_bytes

pytestmark = [
    pytest.mark.detectors,
    pytest.mark.sam6d,  # torch writes the models
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
IMAGE = picture()


@pytest.fixture
def server(live_models):
    """The server; it serves as before at the end of every test."""
    yield live_models.client
    answer = live_models.client.post("/predict", json={"image": text(IMAGE)})
    assert answer.status_code == 200, answer.text
    assert live_models.client.get("/health").status_code == 200
    for model in live_models.client.get("/models").json()["models"]:
        if model["name"] != "tiny":
            live_models.client.delete(f"/models/{model['name']}").raise_for_status()


@pytest.mark.parametrize(
    "data", [b"", b"hello world" * 10, png(IMAGE)[:60], b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"]
)
def test_files_that_are_no_image(server, data):
    refused(server.post("/predict", files={"image": data}), 422, "image")
    answer = server.post("/predict", content=data, headers={"Content-Type": "image/png"})
    refused(answer, 422, "image")
    refused(server.post("/predict", json={"image": base64.b64encode(data).decode()}), 422, "image")


def test_a_png_bomb_costs_no_memory(server):
    before = resident_bytes()
    refused(server.post("/predict", files={"image": png_header(60_000, 60_000)}), 413, "60000")
    assert resident_bytes() - before < 50 * 2**20


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((64, 64), np.uint8),
        np.zeros((64, 64), np.uint16),
        np.zeros((64, 64, 4), np.uint8),
    ],
    ids=["grey", "16 bits", "alpha"],
)
def test_images_of_another_kind_are_taken_as_colour_images(server, image):
    data = cv2.imencode(".png", image)[1].tobytes()
    body = server.post("/predict", files={"image": data}).raise_for_status().json()
    assert body["result"]["num_detections"] == 0


def test_an_image_that_the_model_refuses_is_the_clients_matter(server):
    body = {"image": text(np.zeros((1, 1, 3), np.uint8))}
    refused(server.post("/predict", json=body), 422, "the model refuses")
    assert server.get("/health").json()["status"] == "healthy"


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'"image"', b"{}", b'{"image": 3}', b'{"image": null}', b"\xff"],
)
def test_json_that_is_no_request(server, content):
    for route in ("/predict", "/predict/batch", "/models"):
        answer = server.post(route, content=content, headers={"Content-Type": "application/json"})
        refused(answer, 400 if content == b"\xff" and route == "/models" else 422)


def test_json_that_is_nested_without_end(server):
    for content in (b'{"image": ' + b"[" * 100_000, b"[" * 100_000):
        for route in ("/predict", "/predict/batch", "/models"):
            headers = {"Content-Type": "application/json"}
            answer = server.post(route, content=content, headers=headers)
            assert 400 <= answer.status_code < 500


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "a" * 999])
def test_another_content_type(server, kind):
    answer = server.post("/predict", content=b"x", headers={"Content-Type": kind})
    refused(answer, 422, "content type")


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"x" * 100),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\n"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: x\r\n\r\na\r\n--b--\r\n"),
    ],
)
def test_forms_that_are_broken(server, kind, content):
    for route in ("/predict", "/predict/batch"):
        answer = server.post(route, content=content, headers={"Content-Type": kind})
        assert answer.status_code in (400, 422), answer.text
        refused(answer, answer.status_code)


def test_forms_with_no_file_or_too_many(server):
    refused(server.post("/predict", data={"image": text(IMAGE)}, files={}), 422)
    refused(server.post("/predict", files=[("image", png(IMAGE))] * 2), 422, "2 files")
    refused(server.post("/predict/batch", files=[("images", png(IMAGE))] * 65), 413, "65")
    refused(server.post("/predict/batch", files=[("images", b"x")] * 300), 400)
    refused(server.post("/predict/batch", json={"images": ["x"] * 1000}), 413, "1000")
    refused(server.post("/predict/batch", json={"images": []}), 422)


@pytest.mark.parametrize(
    "query",
    [
        "threshold=nan",
        "threshold=inf",
        "threshold=-0.1",
        "threshold=1.1",
        "threshold=x",
        "visualize=perhaps",
        "model=" + "x" * 1000,
    ],
)
def test_queries_out_of_their_range(server, query):
    refused(server.post(f"/predict?{query}", json={"image": text(IMAGE)}), 422)


@pytest.mark.parametrize("name", ["other", "%00", "%2e%2e", "%2e%2e%2fetc", "ä", "'; drop", ""])
def test_names_that_no_model_has(server, name):
    answer = server.post("/predict", params={"model": name}, json={"image": text(IMAGE)})
    refused(answer, 404, "no model")
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/stats"), ("POST", "/warmup")):
        answer = server.request(method, f"/models/{name or 'x'}{path}")
        assert answer.status_code in (404, 405)


@pytest.mark.parametrize("runs", ["0", "-1", "1000000", "x", "1.5"])
def test_warm_ups_out_of_their_range(server, runs):
    refused(server.post(f"/models/tiny/warmup?runs={runs}"), 422)


@pytest.mark.parametrize(
    ("source", "status", "word"),
    [
        ("/etc/passwd", 403, "--allow-root"),
        ("{root}/../../../../etc/passwd", 403, "--allow-root"),
        ("{root}/link", 403, "--allow-root"),
        ("{root}/folder", 403, "--allow-root"),
        ("{root}/none", 422, "does not exist"),
        ("{root}", 422, "holds no model"),
        ("{root}/empty", 422, "holds no model"),
        ("models/tiny", 422, "absolute"),
        ("package:anything", 422, "absolute"),
        ("file:///etc/passwd", 422, "absolute"),
        ("\0", 422, "path"),
        ("/" + "x" * 4095, 403, "--allow-root"),
        ("http://user:word@127.0.0.1:1/m", 422, "user"),
        ("http://127.0.0.1", 422, "HOST:PORT/MODEL"),
        ("http://169.254.169.254/latest", 403, "--allow-network"),
        ("http:10.0.0.1:8000/m", 403, "--allow-network"),
        ("grpc://[::ffff:10.0.0.1]:8001/m", 403, "--allow-network"),
        ("grpc://[::1]:8001/m", 403, "--allow-network"),
        ("http://0x0a000001:80/m", 403, "--allow-network"),
        ("grpc://ipv4:10.0.0.1:8001/m", 422, "HOST:PORT/MODEL"),
        ("grpc://unix:/m", 422, "HOST:PORT/MODEL"),
        ("http://127.0.0.1:99999/m", 422, "65535"),
        ("http://no-such-host.invalid/m", 422, "unknown"),
    ],
)
def test_sources_that_are_not_opened(server, model_root, source, status, word):
    for link, target in (("link", "/etc/passwd"), ("folder/model.onnx", "/etc/passwd")):
        path = model_root / link
        path.parent.mkdir(exist_ok=True)
        if not path.is_symlink():
            path.symlink_to(target)
    (model_root / "empty").mkdir(exist_ok=True)
    body = {"name": "spy", "source": source.format(root=model_root)}
    refused(server.post("/models", json=body), status, word)


def test_an_address_that_does_not_answer_is_refused_soon_and_named(server):
    start = time.monotonic()
    body = {"name": "far", "source": "http://127.0.0.1:9/model"}
    refused(server.post("/models", json=body), 503, "127.0.0.1:9")
    assert time.monotonic() - start < 30
    assert server.get("/models/far").json()["model"]["state"] == "loading failed"


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "../up"},
        {"name": "a" * 65},
        {"name": "a\n"},
        {"name": 3},
        {"source": ""},
        {"source": None},
        {"threshold": 2},
        {"threshold": "high"},
        {"max_batch": 0},
        {"max_batch": 10**9},
        {"max_batch": 1.5},
        {"warm_up_runs": 101},
        {"max_delay_ms": -1},
        {"capacity": 0},
        {"timeout_s": 0},
        {"device": "tpu"},
        {"device": "cuda; rm"},
    ],
)
def test_settings_out_of_their_range(server, model_root, changes):
    body = {"name": "spy", "source": str(model_root / "tiny"), **changes}
    refused(server.post("/models", json=body), 422)
    answer = server.post(
        "/models",
        content=json.dumps({**body, "threshold": float("nan")}),
        headers={"Content-Type": "application/json"},
    )
    refused(answer, 422)
    assert [model["name"] for model in server.get("/models").json()["models"]] == ["tiny"]


@pytest.mark.parametrize("before", [b"", b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"])
def test_a_head_that_is_never_finished_ends_the_connection(
    live_models, server, monkeypatch, before
):
    monkeypatch.setattr(connections, "HEAD_S", 0.3)
    url = httpx.URL(live_models.url)
    with socket.create_connection((url.host, url.port), timeout=30) as slow:
        slow.sendall(before)
        if before:
            assert b" 200 " in slow.recv(4096)
        slow.sendall(b"GET /health HT")
        while slow.recv(4096):
            pass


def test_a_head_in_parts_is_taken(live_models, server, monkeypatch):
    url = httpx.URL(live_models.url)
    with socket.create_connection((url.host, url.port), timeout=30) as slow:
        for part in (b"GET /hea", b"lth HTTP/1.1\r\nHo", b"st: localhost\r\n\r\n"):
            slow.sendall(part)
        monkeypatch.setattr(connections, "HEAD_S", 0.0)
        assert b" 200 " in slow.recv(4096)
        slow.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n")
        slow.sendall(b"x")
        assert b" 4" in slow.recv(4096)  # the limit is not that of bodies


def test_a_client_that_leaves_while_it_sends_is_no_defect(live_models, server, caplog):
    caplog.set_level(logging.INFO)
    url = httpx.URL(live_models.url)
    head = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
    with socket.create_connection((url.host, url.port), timeout=10) as leaving:
        leaving.sendall(f"{head}Content-Length: 1000\r\nX-Request-ID: leaving\r\n\r\nabc".encode())
    end = time.monotonic() + 30
    while "request leaving: POST /predict, status" not in caplog.text:
        assert time.monotonic() < end, caplog.text
        server.get("/health")
    assert "status 499" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_client_that_leaves_does_not_leave_its_image_behind(live_models, server):
    request = httpx.Request("POST", f"{live_models.url}/predict", json={"image": text(IMAGE)})
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    address = (request.url.host, request.url.port)
    for _ in range(20):
        with socket.create_connection(address, timeout=10) as impatient:
            impatient.sendall(f"POST /predict HTTP/1.1\r\n{head}\r\n".encode() + request.content)
    end = time.monotonic() + 30
    while waiting := server.get("/models/tiny").json()["model"]["waiting"]:
        assert time.monotonic() < end, f"{waiting} requests wait"
