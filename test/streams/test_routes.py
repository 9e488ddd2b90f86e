"""Streams over HTTP: management, MJPEG and events, many viewers, an orderly end."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from rtsp import age_s, wait_for

httpx = pytest.importorskip("httpx", reason="missing: pip install 'sam6d_ros[http]'")
pytest.importorskip("fastapi", reason="missing: pip install 'sam6d_ros[http]'")

from http_server import running  # noqa: E402

from sam6d_ros.apps.http import live_response  # noqa: E402
from sam6d_ros.apps.http.factory import create_app  # noqa: E402
from sam6d_ros.apps.http.model_services import ModelServices  # noqa: E402
from sam6d_ros.apps.http.model_settings import ModelServerSettings  # noqa: E402
from sam6d_ros.apps.http.settings import MODELS  # noqa: E402
from sam6d_ros.runtime.detector_model import DetectorModel  # noqa: E402
from sam6d_ros.runtime.memory import free_memory, resident_bytes  # noqa: E402
from sam6d_ros.runtime.model_spec import ModelSpec  # noqa: E402
from sam6d_ros.runtime.streams import Entry, parse_networks  # noqa: E402
from sam6d_ros.types import Boxes  # noqa: E402

pytestmark = pytest.mark.http
CLOSED = "rtsp://user:geheim@127.0.0.1:1/cam"  # nothing listens there
SHOWN = "rtsp://***@127.0.0.1:1/cam"


class LowerHalf:
    """Detector that reports the lower half of an image, with its brightness as the score."""

    labels = ("image",)

    def detect(self, images_rgb):
        return [self._boxes(image) for image in images_rgb]

    def _boxes(self, image):
        height, width = image.shape[:2]
        score = np.array([image.mean() / 255], np.float32)
        return Boxes(np.array([[0, height / 2, width, height]], np.float32), ("image",), score)

    def warm_up(self) -> None:
        pass

    def close(self) -> None:
        pass


@contextmanager
def served(**changes) -> Iterator[httpx.Client]:
    """Serve one model named `half`, with loopback cameras allowed."""
    settings = ModelServerSettings(
        **{
            "networks": parse_networks(["127.0.0.0/8"]),
            "models": (ModelSpec("half", "double:half"),),
            **changes,
        }
    )
    services = ModelServices(settings, {"double": lambda spec: DetectorModel(LowerHalf())})
    with ExitStack() as stack:
        url = stack.enter_context(running(create_app(services, MODELS)))
        client = stack.enter_context(httpx.Client(base_url=url, timeout=30))
        client.services = services
        yield client


@pytest.fixture
def server() -> Iterator[httpx.Client]:
    with served() as client:
        yield client


def add(client: httpx.Client, url: str, **more) -> dict:
    answer = client.post("/streams", json={"name": "door", "url": url, **more})
    return answer.raise_for_status().json()["stream"]


def parts(response: httpx.Response) -> Iterator[bytes]:
    """Yield the JPEG files of an MJPEG answer."""
    buffer = b""
    for chunk in response.iter_raw():
        buffer += chunk
        while (head := buffer.find(b"\r\n\r\n")) > 0:
            size = int(buffer[:head].rpartition(b":")[2])
            if len(buffer) < head + 4 + size + 2:
                break
            yield buffer[head + 4 : head + 4 + size]
            buffer = buffer[head + 4 + size + 2 :]


def events(response: httpx.Response) -> Iterator[tuple[str, dict]]:
    lines = response.iter_lines()
    for line in lines:
        if line.startswith("event: "):
            yield line[7:], json.loads(next(lines).removeprefix("data: "))


def decoded(jpeg: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_streams_are_managed_and_restored_without_showing_credentials(tmp_path: Path, caplog):
    caplog.set_level(logging.DEBUG)
    shown = ""
    with served(data_dir=tmp_path) as client:
        stream = add(client, CLOSED, max_rate_hz=5, model="half", threshold=0.3)
        key = stream["id"]
        assert stream["url"] == SHOWN
        wait_for(lambda: state(client, key)["state"] == "failed", "the failure")
        assert "nothing listens at 127.0.0.1:1" in state(client, key)["reason"]
        edit = {"name": "front", "url": SHOWN, "rate_hz": 2}
        edited = client.put(f"/streams/{key}", json=edit).raise_for_status().json()["stream"]
        assert (edited["name"], edited["url"], edited["model"]) == ("front", SHOWN, "")
        trial = client.post(f"/streams/test?id={key}", json=edit).raise_for_status().json()
        assert (trial["live"], trial["picture"]) == (False, None)
        assert "nothing listens" in trial["reason"]
        shown += client.get("/streams").text + client.get("/metrics").text
    with served(data_dir=tmp_path) as client:
        (restored,) = client.get("/streams").json()["streams"]
        assert (restored["id"], restored["name"]) == (key, "front")
        assert client.services.streams.get(key).spec.url == CLOSED
        assert client.delete(f"/streams/{key}").json()["stream"]["id"] == key
        assert client.get("/streams").json()["streams"] == []
        assert client.get(f"/streams/{key}").status_code == 404
    assert "geheim" not in shown + caplog.text


def state(client: httpx.Client, key: str) -> dict:
    return client.get(f"/streams/{key}").raise_for_status().json()["stream"]


@pytest.mark.parametrize(
    ("change", "status", "text"),
    [
        ({"url": "rtsp://10.0.0.1/cam"}, 403, "--allow-network"),
        ({"url": "/etc/passwd"}, 403, "--allow-root"),
        ({"url": "frames:/etc"}, 403, "--allow-root"),
        ({"url": "/dev/video0"}, 403, "--allow-devices"),
        ({"url": "file:///etc/passwd"}, 422, "plain path"),
        ({"url": "rtsp://user:geheim/x@h/"}, 422, "percent-encoded"),
        ({"url": ""}, 422, "url"),
        ({"name": "\n"}, 422, "name"),
        ({"model": "none"}, 404, "none"),
        ({"transport": "smoke"}, 422, "transport"),
        ({"max_rate_hz": 0}, 422, "max_rate_hz"),
        ({"threshold": 2}, 422, "threshold"),
    ],
)
def test_wrong_requests_are_refused_by_name(server, change, status, text):
    body = {"name": "a", "url": CLOSED, **change}
    for method, path in (("POST", "/streams"), ("POST", "/streams/test")):
        answer = server.request(method, path, json=body)
        assert answer.status_code == status
        assert text in answer.json()["error_message"]
        assert "geheim" not in answer.text
    assert server.get("/streams").json()["streams"] == []


def test_unknown_streams_are_404(server):
    for method, path in (
        ("GET", "/streams/x"),
        ("DELETE", "/streams/x"),
        ("PUT", "/streams/x"),
        ("GET", "/streams/x/mjpeg"),
        ("GET", "/streams/x/detections"),
        ("POST", "/streams/test?id=x"),
    ):
        body = None if method in ("GET", "DELETE") else {"name": "a", "url": CLOSED}
        answer = server.request(method, path, json=body)
        assert answer.status_code == 404, path
        assert answer.json()["error_message"]


def test_endless_answers_are_not_in_the_schema(server):
    paths = server.get("/openapi.json").json()["paths"]
    assert "/streams/{id}" in paths
    assert not [path for path in paths if path.endswith(("mjpeg", "detections"))]


def test_answers_need_the_token():
    with served(token="t" * 20) as client:
        for path in ("/streams", "/streams/x/mjpeg", "/streams/x/detections"):
            assert client.get(path).status_code == 401
        header = {"Authorization": f"Bearer {'t' * 20}"}
        assert client.get("/streams/x/mjpeg", headers=header).status_code == 404


def test_test_returns_a_picture(server, shared_camera):
    body = {"name": "a", "url": shared_camera.url}
    trial = server.post("/streams/test", json=body).raise_for_status().json()
    assert (trial["live"], trial["width"], trial["height"]) == (True, 480, 360)
    assert server.get("/streams").json()["streams"] == []


def test_pictures_and_results_of_a_model_come_live(server, shared_camera):
    key = add(server, shared_camera.url, model="half")["id"]
    with server.stream("GET", f"/streams/{key}/mjpeg") as response:
        assert response.headers["content-type"] == "multipart/x-mixed-replace; boundary=frame"
        assert response.headers["cache-control"] == "no-store"
        pictures = parts(response)
        images = [decoded(next(pictures)) for _ in range(5)]
    assert images[-1].shape == (360, 480, 3)
    assert age_s(images[-1]) < 5
    with server.stream("GET", f"/streams/{key}/detections") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        name, event = next(events(response))
    assert (name, event["width"], event["height"]) == ("detections", 480, 360)
    (found,) = event["detections"]
    assert (found["label"], found["box_xyxy"]) == ("image", [0, 180, 480, 360])
    wait_for(lambda: state(server, key)["viewers"] == 0, "the viewers to be counted out")
    assert state(server, key)["output_age_s"] > 0


def test_failing_model_is_reported_beside_the_pictures(server, shared_camera):
    key = add(server, shared_camera.url, model="half")["id"]
    server.delete("/models/half").raise_for_status()
    with server.stream("GET", f"/streams/{key}/detections") as response:
        _, event = next(events(response))
    assert "half" in event["error"]
    assert event["detections"] == []
    assert "half" in state(server, key)["error"]


def test_silence_is_reported_as_an_event(server, monkeypatch):
    monkeypatch.setattr(live_response, "SILENCE_S", 0.05)
    key = add(server, CLOSED)["id"]
    with server.stream("GET", f"/streams/{key}/detections") as response:
        for name, event in events(response):
            assert name == "state"
            if event["state"] == "failed":
                break
    assert "nothing listens" in event["reason"]


def idle_viewer(client: httpx.Client, key: str) -> socket.socket:
    """Return a connection that asks for pictures and reads nothing."""
    one = socket.create_connection((client.base_url.host, client.base_url.port))
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.sendall(f"GET /streams/{key}/mjpeg HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return one


def share_shown(entry: Entry, counts: list[int]) -> float:
    """Return the share of the decoded pictures that all viewers get, over 60 pictures."""
    decoded_before, start = entry.stream.status.pictures, min(counts)
    wait_for(lambda: min(counts) >= start + 60, "60 pictures for all", 60)
    return (min(counts) - start) / (entry.stream.status.pictures - decoded_before)


def test_twenty_viewers_and_an_idle_one_slow_nobody(server, shared_camera, monkeypatch):
    monkeypatch.setattr(live_response, "SEND_S", 1.0)
    key = add(server, shared_camera.url)["id"]
    stop = threading.Event()
    counts = [0] * 19

    def watch(number: int) -> None:
        with (
            httpx.Client(base_url=server.base_url, timeout=30) as client,
            client.stream("GET", f"/streams/{key}/mjpeg") as response,
        ):
            for _ in parts(response):
                counts[number] += 1
                if stop.is_set():
                    return

    threads = [threading.Thread(target=watch, args=(number,)) for number in range(19)]
    for thread in threads:
        thread.start()
    try:
        wait_for(lambda: min(counts) >= 10, "pictures for all")
        entry = server.services.streams.get(key)
        share_before = share_shown(entry, counts)
        with idle_viewer(server, key):
            wait_for(lambda: state(server, key)["viewers"] == 20, "the idle viewer")
            free_memory()
            before = resident_bytes()
            assert share_shown(entry, counts) > 0.5 * share_before
            free_memory()
            assert resident_bytes() - before < 30e6
            wait_for(lambda: state(server, key)["viewers"] == 19, "the idle viewer to be dropped")
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)
    wait_for(lambda: state(server, key)["viewers"] == 0, "the viewers to leave")
    assert entry.stream.status.attempts == 1


def test_interruption_ends_the_viewers(server, shared_camera):
    key = add(server, shared_camera.url)["id"]
    with server.stream("GET", f"/streams/{key}/mjpeg") as response:
        pictures = parts(response)
        next(pictures)
        server.services.interrupt()
        assert sum(1 for _ in pictures) < 100
    answer = server.post("/streams", json={"name": "a", "url": CLOSED})
    assert answer.status_code == 503
    assert "draining" in answer.json()["error_message"]
