"""Model server over HTTP with real detectors: predictions, models, statistics, restart."""

from __future__ import annotations

import base64
import threading
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
from support.model_server import PATIENCE_S, ModelServer, picture, png, serving_models, text, until
from support.tiny_detector import CELL, LABELS

from sam6d_ros.runtime.model_server.spec import ModelSpec

pytestmark = [
    pytest.mark.detectors,
    pytest.mark.sam6d,  # torch writes the models
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture
def root(model_root) -> Path:
    return model_root


@pytest.fixture
def live(live_models) -> ModelServer:
    return live_models


@pytest.fixture
def server(live) -> httpx.Client:
    return live.client


def check(answer: httpx.Response, row: int = 1) -> dict:
    body = answer.raise_for_status().json()
    assert body["success"] is True
    result = body["result"]
    assert (result["width"], result["height"], result["num_detections"]) == (6 * CELL, 4 * CELL, 1)
    (found,) = result["detections"]
    assert found["label"] == LABELS[row]
    assert found["box_xyxy"] == [CELL, row * CELL, 2 * CELL, (row + 1) * CELL]
    assert set(result["timings_ms"]) == {"queue", "preprocess", "inference", "postprocess"}
    return body


def test_an_image_comes_as_a_file_as_text_or_as_it_is(server):
    image = picture(2)
    check(server.post("/predict", files={"image": png(image)}), 2)
    check(server.post("/predict", files={"file": png(image)}), 2)
    check(server.post("/predict", json={"image": text(image)}), 2)
    check(server.post("/predict", json={"image": f"data:image/png;base64,{text(image)}"}), 2)
    jpeg = cv2.imencode(".jpg", image)[1].tobytes()
    answer = server.post("/predict", content=jpeg, headers={"Content-Type": "image/jpeg"})
    check(answer, 2)


def test_the_threshold_is_that_of_the_request(server):
    body = {"image": text(picture(value=100))}
    for threshold, count in (("", 0), ("?threshold=0.3", 1), ("?threshold=0.9", 0)):
        result = server.post(f"/predict{threshold}", json=body).raise_for_status().json()["result"]
        assert result["num_detections"] == count


def test_the_picture_comes_on_request(server):
    body = {"image": text(picture())}
    assert check(server.post("/predict", json=body))["result"]["visualization"] is None
    answer = server.post("/predict?visualize=true", json=body)
    drawn = cv2.imdecode(
        np.frombuffer(base64.b64decode(check(answer)["result"]["visualization"]), np.uint8), 1
    )
    assert drawn.shape == picture().shape
    assert (drawn[..., ::-1] != picture()).any()
    alone = server.post("/predict?visualize=true", json=body, headers={"Accept": "image/png"})
    assert alone.headers["content-type"] == "image/png"
    assert alone.content.startswith(b"\x89PNG")


def test_a_batch_keeps_the_order_and_an_image_that_fails_harms_no_other(server):
    rows = [0, 3, 1, 2]
    texts = [text(picture(row)) for row in rows]
    texts.insert(1, "no image")
    body = server.post("/predict/batch", json={"images": texts}).raise_for_status().json()
    assert body["num_failed"] == 1
    failed = body["results"].pop(1)
    assert failed["success"] is False
    assert "image is no base64" in failed["error_message"]
    labels = [item["result"]["detections"][0]["label"] for item in body["results"]]
    assert labels == [LABELS[row] for row in rows]
    files = [("images", png(picture(row))) for row in rows]
    body = server.post("/predict/batch", files=files).raise_for_status().json()
    assert [item["result"]["detections"][0]["label"] for item in body["results"]] == labels


def test_a_model_is_loaded_used_measured_and_unloaded(server, root):
    body = {"name": "second", "path": str(root / "script"), "threshold": 0.9, "warm_up_runs": 2}
    answer = server.post("/models", json=body)
    assert answer.status_code == 201
    model = answer.json()["model"]
    assert (model["state"], model["backend"], model["labels"]) == (
        "ready",
        "torchscript",
        list(LABELS),
    )
    assert check(server.post("/predict?model=second", json={"image": text(picture())}))
    names = [model["name"] for model in server.get("/models").json()["models"]]
    assert names == ["second", "tiny"]
    stats = server.get("/models/second/stats").json()
    assert (stats["images"], stats["errors"], stats["calls"]) == (1, 0, 1)
    assert stats["phases_ms"]["inference"]["count"] == 1
    assert stats["phases_ms"]["inference"]["min"] <= stats["phases_ms"]["inference"]["p95"]
    warm = server.post("/models/second/warmup?runs=3").raise_for_status().json()
    assert (warm["model"], warm["runs"]) == ("second", 3)
    assert warm["seconds"] > 0
    assert server.delete("/models/second").status_code == 200
    assert server.get("/models/second").status_code == 404
    assert server.post("/predict?model=second", json={"image": ""}).status_code == 404
    check(server.post("/predict", json={"image": text(picture())}))


def test_a_model_is_replaced_while_clients_ask(live, server, root):
    body = {"name": "swap", "source": str(root / "tiny"), "threshold": 0.9, "capacity": 64}
    server.post("/models", json=body).raise_for_status()
    assert server.post("/models", json=body).status_code == 422
    stop, codes = threading.Event(), []

    def client():
        with live.new_client() as one:
            while not stop.is_set():
                answer = one.post("/predict?model=swap", json={"image": text(picture())})
                codes.append(answer.status_code)

    clients = [threading.Thread(target=client) for _ in range(3)]
    for thread in clients:
        thread.start()
    for source in ("script", "tiny"):
        again = {**body, "source": str(root / source), "replace": True}
        assert server.post("/models", json=again).json()["model"]["source"].endswith(source)
    stop.set()
    for thread in clients:
        thread.join(PATIENCE_S)
    assert set(codes) == {200}
    server.delete("/models/swap").raise_for_status()


def test_a_damaged_model_is_listed_with_its_reason_and_harms_no_other(server, root):
    (root / "bad").mkdir()
    (root / "bad" / "model.onnx").write_bytes(b"no model")
    (root / "bad" / "detector.json").write_bytes((root / "tiny" / "detector.json").read_bytes())
    answer = server.post("/models", json={"name": "bad", "source": str(root / "bad")})
    assert answer.status_code == 503
    assert "cannot load" in answer.json()["error_message"]
    model = server.get("/models/bad").json()["model"]
    assert model["state"] == "loading failed"
    assert "CheckpointError" in model["reason"]
    health = server.get("/health")
    assert health.status_code == 200
    assert health.json()["status"] == "degraded"
    assert health.json()["models"] == {"bad": "loading failed", "tiny": "ready"}
    assert server.post("/predict?model=bad", json={"image": text(picture())}).status_code == 503
    check(server.post("/predict", json={"image": text(picture())}))
    server.delete("/models/bad").raise_for_status()
    assert server.get("/health").json()["status"] == "healthy"


def test_metrics_have_the_figures_of_each_model(server):
    check(server.post("/predict", json={"image": text(picture())}))
    lines = server.get("/metrics").text.splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    images = server.get("/models/tiny/stats").json()["images"]
    assert float(values['sam6d_model_images_total{model="tiny"}']) == images
    assert float(values['sam6d_model_ready{model="tiny"}']) == 1
    key = 'sam6d_model_phase_seconds{figure="p95",model="tiny",phase="inference"}'
    assert float(values[key]) > 0
    assert any(key.startswith("sam6d_requests_total{") and "/predict" in key for key in values)


def test_models_of_clients_come_back_after_a_restart(root, tmp_path):
    start = (ModelSpec("start", str(root / "tiny"), 0.9),)
    with serving_models(root, models=start, data_dir=tmp_path) as first:
        client = first.client
        body = {"name": "kept", "source": str(root / "tiny"), "threshold": 0.25}
        client.post("/models", json=body).raise_for_status()
        body = {"name": "dropped", "source": str(root / "script")}
        client.post("/models", json=body).raise_for_status()
        client.delete("/models/dropped").raise_for_status()
    with serving_models(root, data_dir=tmp_path) as second:
        client = second.client
        (model,) = client.get("/models").json()["models"]
        assert (model["name"], model["state"], model["threshold"]) == ("kept", "ready", 0.25)
        check(client.post("/predict?threshold=0.9", json={"image": text(picture())}))
    assert not {t.name for t in threading.enumerate()} & {"model 'kept'", "model 'start'"}


def test_a_full_queue_answers_429_and_the_server_goes_on(root):
    spec = ModelSpec("tiny", str(root / "tiny"), 0.9, capacity=1)
    with serving_models(root, models=(spec,)) as small:
        client = small.client
        slot = small.services.registry._slots.slot("tiny")
        gate, entered = threading.Event(), threading.Event()
        slot.host._worker.call(lambda: (entered.set(), gate.wait(PATIENCE_S)))
        assert entered.wait(PATIENCE_S)
        codes, body = [], {"image": text(picture())}

        def ask():
            with small.new_client() as one:
                codes.append(one.post("/predict", json=body))

        first = threading.Thread(target=ask)
        first.start()
        until(lambda: client.get("/models/tiny").json()["model"]["waiting"] == 1)
        refused = client.post("/predict", json=body)
        assert refused.status_code == 429
        assert int(refused.headers["Retry-After"]) >= 1
        gate.set()
        first.join(PATIENCE_S)
        check(codes[0])
        assert client.get("/models/tiny").json()["model"]["rejected"] == 1


def test_without_a_model_and_with_several_the_request_must_name_one(root):
    with serving_models(root) as empty:
        client = empty.client
        assert client.get("/health").json()["message"] == "Server is running without a model"
        answer = client.post("/predict", json={"image": text(picture())})
        assert answer.status_code == 422
        assert "?model=" in answer.json()["error_message"]
        assert client.get("/").json() == {"message": "Model Server is running"}
        for name in ("a", "b"):
            body = {"name": name, "source": str(root / "tiny")}
            client.post("/models", json=body).raise_for_status()
        answer = client.post("/predict", json={"image": text(picture())})
        assert "['a', 'b']" in answer.json()["error_message"]
