"""Live pictures over HTTP: MJPEG and events, many viewers, idle ones, an orderly end."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.rtsp import age_s, wait_for

for _module in ("fastapi", "httpx"):
    pytest.importorskip(_module, reason="missing: pip install -e '.[http]'")

import httpx  # noqa: E402
import numpy as np  # noqa: E402
from support.bop_folder import POSES, BopFolder, render  # noqa: E402
from support.bop_folder import models as bop_models  # noqa: E402
from support.stream_server import CLOSED, add, decoded, events, parts, served, state  # noqa: E402

from sam6d_ros.apps.http.model_server import live_response  # noqa: E402
from sam6d_ros.config import PipelineConfig  # noqa: E402
from sam6d_ros.evaluation.bop import BopDataset  # noqa: E402
from sam6d_ros.runtime.build import EngineSpec  # noqa: E402
from sam6d_ros.runtime.memory import free_memory, resident_bytes  # noqa: E402
from sam6d_ros.runtime.objects import ObjectSet  # noqa: E402
from sam6d_ros.runtime.streams import Entry  # noqa: E402

pytestmark = pytest.mark.http


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


def health(client: httpx.Client) -> dict:
    return client.get("/health").json()


def bag_of(root: Path) -> Path:
    """Return the frames of a folder as a bag."""
    pytest.importorskip("rosbags", reason="missing: pip install -e '.[bags]'")
    from support.plain_bag import write_bag

    dataset = BopDataset(root)
    frames = [dataset.frame(scene, image) for scene, image in dataset.images()]
    return write_bag(root.parent / "bag", frames)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["frames", "bag"])
def test_poses_come_live_from_a_recording_with_depth(tmp_path: Path, kind: str):
    root = BopFolder(tmp_path / "data").write()
    source = root if kind == "frames" else bag_of(root)
    models = {model.name: model for model in bop_models().values()}
    config = PipelineConfig(backend="geometric")
    engine = EngineSpec(config, tmp_path / "cache", objects=ObjectSet(models))
    with served(poses=engine, roots=(tmp_path,)) as client:
        wait_for(lambda: health(client)["models"] == {"poses": "ready", "half": "ready"}, "it", 200)
        key = add(client, f"{kind}:{source}", model="poses", rate_hz=20)["id"]
        with client.stream("GET", f"/streams/{key}/detections", timeout=120) as response:
            _, event = next(events(response))
        assert event["error"] == ""
        found = {pose["name"]: np.array(pose["cam_from_obj"]) for pose in event["poses"]}
        assert found
        for name, pose in found.items():
            truth = POSES[int(name.removeprefix("obj_"))]
            assert np.linalg.norm(pose[:3, 3] - truth[:3, 3]) < 0.02
        with client.stream("GET", f"/streams/{key}/mjpeg", timeout=120) as response:
            drawn = decoded(next(parts(response)))
        assert (np.abs(drawn.astype(int) - render()[0]) > 100).any()  # contours and axes


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


def test_command_ends_while_somebody_watches(shared_camera, tmp_path: Path):
    words = f"serve models --port 0 --allow-network 127.0.0.1 --data-dir {tmp_path / 'data'}"
    output = tmp_path / "output.txt"
    with output.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "sam6d_ros.apps.cli.main", *words.split()],
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=tmp_path,
        )
    try:
        wait_for(lambda: "http://" in output.read_text(), "the address", 60)
        found = re.search(r"http://\S+", output.read_text())
        assert found
        with httpx.Client(base_url=found.group(), timeout=30) as client:
            wait_for(lambda: answers(client), "the server", 60)
            key = add(client, shared_camera.url)["id"]
            with client.stream("GET", f"/streams/{key}/mjpeg") as response:
                pictures = parts(response)
                next(pictures)
                process.send_signal(signal.SIGTERM)
                assert process.wait(30) == 0, output.read_text()
                assert sum(1 for _ in pictures) < 100
        assert "Traceback" not in output.read_text()
        assert "did not end" not in output.read_text()
    finally:
        process.kill()
        process.wait(10)


def answers(client: httpx.Client) -> bool:
    """Whether the server takes connections."""
    try:
        return client.get("/health").is_success
    except httpx.ConnectError:
        return False
