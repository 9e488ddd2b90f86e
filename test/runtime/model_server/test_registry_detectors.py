"""Registry with real detectors: answers, phases, memory over many loads."""

from __future__ import annotations

import gc
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from support.tiny_detector import CELL, write_onnx, write_torchscript

from sam6d_ros.errors import CheckpointError, InvalidInput
from sam6d_ros.runtime.memory import resident_bytes
from sam6d_ros.runtime.model_server.frame_model import FrameInput
from sam6d_ros.runtime.model_server.registry import Registry
from sam6d_ros.runtime.model_server.spec import ModelSpec

pytestmark = [
    pytest.mark.detectors,
    pytest.mark.sam6d,  # torch writes the models
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
PATIENCE_S = 60.0
ROUNDS, WARM_ROUNDS = 50, 10
MEGA = 1 << 20


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> dict[str, str]:
    found = {}
    for name, write in (("torchscript", write_torchscript), ("onnxruntime", write_onnx)):
        found[name] = str(write(tmp_path_factory.mktemp(name)))
    return found


@pytest.fixture
def registry():
    made = Registry()
    yield made
    assert made.close()


def image_with_patch(row: int, height: int = 4 * CELL) -> FrameInput:
    image = np.zeros((height, 6 * CELL, 3), np.uint8)
    image[row * CELL : (row + 1) * CELL, CELL : 2 * CELL] = 255
    return FrameInput(image, stamp_ns=row)


@pytest.mark.parametrize("backend", ["torchscript", "onnxruntime"])
def test_a_detector_answers_many_clients_in_batches(registry, sources, backend):
    spec = ModelSpec("tiny", sources[backend], 0.9, max_batch=8, max_delay_ms=20, capacity=64)
    report = registry.register(spec).result(PATIENCE_S)
    assert (report.backend, report.labels[:2]) == (backend, ("top", "second"))
    futures = [
        registry.submit("tiny", image_with_patch(n % 4, (4 + n % 2) * CELL)) for n in range(40)
    ]
    names = ("top", "second", "third", "fourth")
    for number, future in enumerate(futures):
        answer = future.result(PATIENCE_S)
        row = number % 4
        assert answer.boxes.labels == (names[row],)
        assert answer.boxes.xyxy.tolist() == [[CELL, row * CELL, 2 * CELL, (row + 1) * CELL]]
        assert answer.boxes.stamp_ns == row
        assert set(answer.seconds) == {"queue", "preprocess", "inference", "postprocess"}
    figures = registry.stats("tiny")
    assert (figures.images, figures.errors) == (40, 0)
    assert figures.calls < 40
    assert figures.batch.max > 1
    assert set(figures.phases_s) == {"preprocess", "inference", "postprocess"}


def test_an_answer_draws_itself_on_its_image(registry, sources):
    registry.register(ModelSpec("tiny", sources["onnxruntime"], 0.9)).result(PATIENCE_S)
    item = image_with_patch(2)
    picture = registry.submit("tiny", item).result(PATIENCE_S).draw(item.image_rgb)
    assert picture.shape == item.image_rgb.shape
    assert (picture != item.image_rgb).any()


def test_a_request_has_a_threshold_of_its_own(registry, sources):
    registry.register(ModelSpec("tiny", sources["onnxruntime"], 0.9)).result(PATIENCE_S)
    dark = FrameInput(np.full((4 * CELL, 4 * CELL, 3), 100, np.uint8))
    assert len(registry.submit("tiny", dark).result(PATIENCE_S).boxes) == 0
    lower = FrameInput(dark.image_rgb, threshold=0.3)
    assert len(registry.submit("tiny", lower).result(PATIENCE_S).boxes) == 4


def test_an_unusable_image_fails_alone(registry, sources):
    registry.register(
        ModelSpec("tiny", sources["onnxruntime"], 0.9, max_batch=8, max_delay_ms=20)
    ).result(PATIENCE_S)
    good, grey, small = (
        registry.submit("tiny", item)
        for item in (
            image_with_patch(1),
            FrameInput(np.zeros((8, 8), np.uint8)),
            FrameInput(np.zeros((CELL, CELL, 3), np.uint8)),  # fewer cells than boxes
        )
    )
    assert good.result(PATIENCE_S).boxes.labels == ("second",)
    assert isinstance(grey.exception(PATIENCE_S), InvalidInput)
    assert isinstance(small.exception(PATIENCE_S), InvalidInput)


def test_a_damaged_file_is_reported_beside_a_model_that_answers(registry, sources, tmp_path):
    registry.register(ModelSpec("good", sources["onnxruntime"], 0.9)).result(PATIENCE_S)
    shutil.copytree(Path(sources["torchscript"]).parent, tmp_path / "bad")
    (tmp_path / "bad" / "model.pt").write_bytes(b"no model")
    bad = registry.register(ModelSpec("bad", str(tmp_path / "bad" / "model.pt")))
    assert isinstance(bad.exception(PATIENCE_S), CheckpointError)
    assert "CheckpointError" in registry.get("bad").reason
    assert registry.submit("good", image_with_patch(0)).result(PATIENCE_S).boxes.labels == ("top",)


@pytest.mark.parametrize("backend", ["torchscript", "onnxruntime"])
def test_a_replacement_under_load_loses_no_request(registry, sources, backend):
    spec = ModelSpec("tiny", sources[backend], 0.9, capacity=100)
    registry.register(spec).result(PATIENCE_S)
    stop, labels = threading.Event(), []

    def client():
        while not stop.is_set():
            labels.append(
                registry.submit("tiny", image_with_patch(1)).result(PATIENCE_S).boxes.labels
            )

    clients = [threading.Thread(target=client) for _ in range(3)]
    for thread in clients:
        thread.start()
    for _ in range(3):
        registry.replace(spec).result(PATIENCE_S)
    stop.set()
    for thread in clients:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert set(labels) == {("second",)}


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torchscript", "onnxruntime"])
def test_fifty_loads_and_unloads_leave_the_memory_as_it_was(registry, sources, backend):
    resident = []
    for number in range(ROUNDS):
        registry.register(ModelSpec("fifty", sources[backend], 0.9)).result(PATIENCE_S)
        registry.submit("fifty", image_with_patch(number % 4)).result(PATIENCE_S)
        assert registry.unload("fifty")
        gc.collect()
        resident.append(resident_bytes())
    growth = resident[-1] - resident[WARM_ROUNDS]
    print(backend, [round(resident[n] / MEGA, 1) for n in (0, WARM_ROUNDS, -1)], "MiB")
    # a model with its input for 480 × 640 pixels holds 3.5 MiB or more: 40 of them 140 MiB
    assert growth < 10 * MEGA
    assert "model 'fifty'" not in [thread.name for thread in threading.enumerate()]
