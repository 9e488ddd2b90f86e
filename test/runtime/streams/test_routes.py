"""Streams over HTTP: add, test, edit, remove; refusals."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from support.rtsp import wait_for

for _module in ("fastapi", "httpx"):
    pytest.importorskip(_module, reason="missing: pip install -e '.[http]'")

from support.stream_server import CLOSED, SHOWN, add, served, state  # noqa: E402

from sam6d_ros.apps.cli.commands import serve_models  # noqa: E402
from sam6d_ros.apps.cli.main import build_parser  # noqa: E402
from sam6d_ros.errors import InvalidConfig  # noqa: E402
from sam6d_ros.runtime.streams import StreamState  # noqa: E402

pytestmark = pytest.mark.http


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


def test_the_page_has_every_route_and_every_field(server):
    page = (Path(__file__).parents[3] / "docs/streams.md").read_text()
    schema = server.get("/openapi.json").json()
    for path, methods in schema["paths"].items():
        for method in methods if path.startswith("/streams") else ():
            assert f"`{method.upper()} {path}`" in page
    for name in schema["components"]["schemas"]["StreamRequest"]["properties"]:
        assert f"`{name}`" in page, name
    for known in StreamState:
        assert f"| `{known.value}` |" in page


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


def test_options_of_the_command_open_networks_and_devices():
    def settings_of(words: str):
        args = build_parser().parse_args(["serve", "models", *words.split()])
        return serve_models.settings_of(args, {})

    settings = settings_of("--allow-network 192.168.1.0/24 --allow-network ::1 --allow-devices")
    assert [str(network) for network in settings.networks] == ["192.168.1.0/24", "::1/128"]
    assert settings.devices
    assert settings_of("").networks == ()
    assert not settings_of("").devices
    with pytest.raises(InvalidConfig, match=r"192\.168\.1\.0/24"):
        settings_of("--allow-network 192.168.1.7/24")
