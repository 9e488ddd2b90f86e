"""Queues of the model server: refusal before images are decoded; request ids in log lines."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.model_server import picture, png, until
from support.stream_server import LowerHalf, served

from sam6d_ros.apps.http.routes import predict
from sam6d_ros.apps.http.serve import LOG_FORMAT
from sam6d_ros.runtime.model_server.detector_model import DetectorModel
from sam6d_ros.runtime.model_server.spec import ModelSpec
from sam6d_ros.runtime.request_log import RequestIdFilter

KIND = {"Content-Type": "image/png"}


class Held(LowerHalf):
    """Detector that answers once its gate is open, and logs that."""

    def __init__(self) -> None:
        self.gate = threading.Event()

    def detect(self, images_rgb):
        assert self.gate.wait(30)
        logging.getLogger("library").warning("inference")
        return super().detect(images_rgb)


@pytest.fixture
def held():
    return Held()


@pytest.fixture
def server(held):
    spec = ModelSpec("held", "held:", capacity=1, warm_up_runs=0)
    openers = {"held": lambda _: DetectorModel(held)}
    with served(models=(spec,), openers=openers) as client:
        until(lambda: client.get("/health").json()["models"] == {"held": "ready"})
        yield client
        held.gate.set()


def test_a_full_queue_refuses_before_the_body_is_read(server, held):
    with ThreadPoolExecutor(2) as pool:
        first = [pool.submit(server.post, "/predict", content=png(picture()), headers=KIND)]
        until(lambda: is_busy(server))
        first.append(pool.submit(server.post, "/predict", content=png(picture()), headers=KIND))
        until(lambda: server.services.registry.get("held").waiting == 1)
        refused = server.post("/predict", content=b"no image", headers=KIND)
        assert refused.status_code == 429
        assert int(refused.headers["Retry-After"]) >= 1
        held.gate.set()
        assert [one.result(30).status_code for one in first] == [200, 200]


def is_busy(client) -> bool:
    (slot,) = client.services.registry._slots.all()
    return slot.host._busy_since is not None


def test_a_burst_is_refused_without_being_decoded(server, held, monkeypatch):
    decoded = []

    def count(data, *args):
        decoded.append(len(data))
        return decode(data, *args)

    decode = predict.decode_rgb
    monkeypatch.setattr(predict, "decode_rgb", count)
    with ThreadPoolExecutor(20) as pool:
        posts = [
            pool.submit(server.post, "/predict", content=png(picture()), headers=KIND)
            for _ in range(20)
        ]
        until(lambda: sum(post.done() for post in posts) >= 16)
        held.gate.set()
        codes = sorted(post.result(30).status_code for post in posts)
    assert codes.count(429) >= 16
    assert len(decoded) <= 2 + 2  # one runs, one waits, and each thread may be one ahead


def test_log_lines_of_the_model_have_the_request_id(server, held, caplog):
    held.gate.set()
    caplog.handler.addFilter(RequestIdFilter())
    caplog.handler.setFormatter(logging.Formatter(LOG_FORMAT))
    caplog.set_level(logging.INFO)
    headers = KIND | {"X-Request-ID": "my-request"}
    server.post("/predict", content=png(picture()), headers=headers).raise_for_status()
    until(lambda: "status 200" in caplog.text)
    (line,) = [line for line in caplog.text.splitlines() if line.endswith(" inference")]
    assert "library [my-request]: " in line
