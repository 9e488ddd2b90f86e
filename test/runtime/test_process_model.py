"""Models in processes of their own: crashes and hangs stay with them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading

import numpy as np
import pytest
from support.tiny_detector import CELL, write_onnx

from sam6d_ros.errors import BackendUnavailable, DeadlineExceeded, InvalidInput, Sam6dError
from sam6d_ros.runtime.model_server.frame_model import FrameInput
from sam6d_ros.runtime.model_server.host import ModelState
from sam6d_ros.runtime.model_server.registry import Registry
from sam6d_ros.runtime.model_server.spec import ModelSpec

pytestmark = [
    pytest.mark.detectors,
    pytest.mark.sam6d,  # torch writes the model
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
PATIENCE_S = 60


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    write_onnx(folder)
    return str(folder)


@pytest.fixture
def registry(source):
    """One model in a process, one in a thread."""
    registry = Registry()
    for name, isolated in (("apart", True), ("near", False)):
        spec = ModelSpec(name, source, isolated=isolated, timeout_s=PATIENCE_S)
        registry.register(spec).result(PATIENCE_S)
    yield registry
    assert registry.close()
    assert not multiprocessing.active_children()


@pytest.fixture
def process(registry):
    (child,) = multiprocessing.active_children()
    return child


def image(size: int = 4 * CELL) -> FrameInput:
    pixels = np.zeros((size, size, 3), np.uint8)
    pixels[:CELL, CELL : 2 * CELL] = 255
    return FrameInput(pixels)


def boxes(registry, name, item=None):
    return registry.submit(name, item or image()).result(PATIENCE_S).boxes


def test_a_process_answers_as_a_thread(registry, process):
    apart, near = boxes(registry, "apart"), boxes(registry, "near")
    assert (apart.labels, apart.xyxy.tolist()) == (near.labels, near.xyxy.tolist())
    assert registry.get("apart").labels == registry.get("near").labels
    assert registry.warm_up("apart", 2).result(PATIENCE_S) >= 0
    assert registry.stats("apart").phases_s["inference"].count == 1


def test_an_error_is_that_of_the_model(registry, process):
    kinds = []
    for name in ("apart", "near"):
        with pytest.raises(InvalidInput) as caught:
            boxes(registry, name, image(CELL))  # the network takes 4 cells at least
        kinds.append((type(caught.value), str(caught.value)))
    assert kinds[0] == kinds[1]
    assert len(boxes(registry, "apart")) == 1


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_crash_while_it_waits_is_not_noticed_by_clients(registry, process, number):
    os.kill(process.pid, number)
    process.join(PATIENCE_S)
    assert len(boxes(registry, "apart")) == 1


def test_a_crash_in_a_call_fails_that_call_alone(registry, process):
    os.kill(process.pid, signal.SIGSTOP)
    pending = registry.submit("apart", image())
    while pending.running() is False and registry.get("apart").waiting:
        threading.Event().wait(0.01)
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(BackendUnavailable, match="SIGKILL"):
        pending.result(PATIENCE_S)
    assert registry.get("apart").state is ModelState.FAILED
    assert len(boxes(registry, "near")) == 1
    assert len(boxes(registry, "apart")) == 1
    assert registry.get("apart").state is ModelState.READY


def test_a_process_that_hangs_is_ended(source):
    registry = Registry()
    spec = ModelSpec("apart", source, isolated=True, timeout_s=5)
    registry.register(spec).result(PATIENCE_S)
    (process,) = multiprocessing.active_children()
    os.kill(process.pid, signal.SIGSTOP)
    with pytest.raises(DeadlineExceeded):
        registry.submit("apart", image()).result(PATIENCE_S)
    process.join(PATIENCE_S)
    assert process.exitcode == -signal.SIGKILL
    assert len(registry.submit("apart", image(), timeout_s=PATIENCE_S).result(PATIENCE_S).boxes)
    assert registry.close()


def test_a_model_that_cannot_be_loaded_leaves_no_process(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"no model")
    registry = Registry()
    spec = ModelSpec("bad", str(tmp_path / "model.onnx"), isolated=True)
    with pytest.raises(Sam6dError):
        registry.register(spec).result(PATIENCE_S)
    assert registry.get("bad").state is ModelState.LOAD_FAILED
    assert not multiprocessing.active_children()
    registry.close()
