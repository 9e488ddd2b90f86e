"""The real Triton: the answers of the local model over HTTP, gRPC and shared memory."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from support.rtsp import wait_for
from support.tiny_detector import CELL, MANIFEST
from support.triton_server import Served

from sam6d_ros.detectors.onnx import OnnxRunner
from sam6d_ros.detectors.triton.admin import TritonAdmin
from sam6d_ros.detectors.triton.client import ServedModel, TritonRunner, connect
from sam6d_ros.detectors.triton.process import SHARED_MEMORY_DIR
from sam6d_ros.detectors.triton.repository import version_folder
from sam6d_ros.errors import BackendUnavailable, DeadlineExceeded, InvalidInput, NotReady

pytestmark = pytest.mark.sam6d
WAYS = [("http", False), ("grpc", False), ("http", True), ("grpc", True)]
IDS = ["http", "grpc", "http-shared", "grpc-shared"]
PATIENCE_S = 60.0


def tensors(count: int, side: int = 64, seed: int = 5) -> list[np.ndarray]:
    """Distinct values: a lost stride or an empty array would show."""
    random = np.random.default_rng(seed)
    return [random.random((3, side, side + 32), np.float32) for _ in range(count)]


def runner(triton: Served, name: str = "tiny", way: str = "http", **more) -> TritonRunner:
    return TritonRunner(ServedModel(name, triton.urls[way], way, **more))


def local(repository, images: list[np.ndarray]):
    return OnnxRunner(version_folder(repository, "tiny_onnx") / "model.onnx").run(images)


def assert_same(found, wanted) -> None:
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("model", ["tiny", "tiny_onnx"])
@pytest.mark.parametrize(("way", "shared"), WAYS, ids=IDS)
def test_the_server_answers_as_the_local_model(way, shared, model, triton, repository):
    images = [*tensors(11), *tensors(2, side=96), *tensors(1)]  # two sizes, more than one batch
    wanted = local(repository, images)
    own = f"sam6d_{os.getpid()}_*"  # other processes have regions too
    before = set(SHARED_MEMORY_DIR.glob(own))
    client = runner(triton, model, way, shared_memory=shared)
    assert_same(client.run(images), wanted)
    larger = tensors(1, side=160)  # the region must grow
    assert_same(client.run(larger), local(repository, larger))
    client.close()
    client.close()
    assert set(SHARED_MEMORY_DIR.glob(own)) == before


def test_the_manifest_comes_from_the_server(triton):
    detector = connect(ServedModel("tiny", triton.urls["http"]), threshold=0.9)
    assert detector.manifest == MANIFEST
    image = np.zeros((70, 100, 3), np.uint8)
    image[:CELL, CELL : 2 * CELL] = 255
    detector.warm_up()
    (found,) = detector.detect([image])
    assert (found.labels, found.xyxy.tolist()) == (("top",), [[CELL, 0, 2 * CELL, CELL]])
    detector.close()


def counts(triton: Served, model: str) -> tuple[int, int]:
    url = f"http://127.0.0.1:{triton.address.metrics}/metrics"
    text = urllib.request.urlopen(url, timeout=10).read().decode()
    names = ("nv_inference_count", "nv_inference_exec_count")
    found = [re.search(rf'^{n}{{model="{model}".*}} (\d+)', text, re.MULTILINE) for n in names]
    return tuple(int(match[1]) if match else 0 for match in found)


def test_concurrent_requests_of_one_size_run_as_one_batch(triton, repository):
    clients, requests = 8, 5
    images = tensors(clients)
    wanted = local(repository, images)
    barrier, failures = threading.Barrier(clients), []

    def client(place: int) -> None:
        try:
            mine = runner(triton, "tiny_onnx", "grpc")
            barrier.wait(30)
            for _ in range(requests):
                assert_same(mine.run([images[place]]), [wanted[place]])
            mine.close()
        except Exception as error:
            failures.append(error)

    before = counts(triton, "tiny_onnx")
    threads = [threading.Thread(target=client, args=(place,)) for place in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures

    def since() -> np.ndarray:
        return np.subtract(counts(triton, "tiny_onnx"), before)

    # the server renews its metrics every two seconds
    wait_for(lambda: since()[0] >= clients * requests, "the metrics of all requests")
    inferences, executions = since()
    assert executions <= inferences / 2, (inferences, executions)  # 7 or 8 a batch when idle


def test_an_unloaded_model_is_named_and_loads_again(triton):
    with TritonAdmin(triton.urls["http"]) as admin:
        assert {s.name: s.answers for s in admin.states()} == {"tiny": True, "tiny_onnx": True}
        admin.unload("tiny_onnx")
        try:
            for way in ("http", "grpc"):
                with pytest.raises(NotReady, match="sam6d triton load tiny_onnx"):
                    runner(triton, "tiny_onnx", way)
            assert [s.name for s in admin.states() if not s.answers] == ["tiny_onnx"]
        finally:
            admin.load("tiny_onnx")
        assert all(state.answers for state in admin.states())


@pytest.mark.parametrize("way", ["http", "grpc"])
def test_an_unknown_model_is_named(way, triton):
    with pytest.raises(NotReady, match="sam6d triton load nothing"):
        runner(triton, "nothing", way)
    with TritonAdmin(triton.urls["http"]) as admin, pytest.raises(InvalidInput, match="nothing"):
        admin.load("nothing")


@pytest.mark.parametrize(("way", "shared"), WAYS, ids=IDS)
def test_a_malformed_tensor_is_refused_and_the_next_is_answered(way, shared, triton, repository):
    client = runner(triton, "tiny", way, shared_memory=shared)
    good = tensors(1)
    for bad in (np.zeros((4, 64, 64), np.float32), np.zeros((3, 8, 8), np.float32)):
        with pytest.raises(InvalidInput, match="refuses"):
            client.run([bad])
    assert_same(client.run(good), local(repository, good))
    client.close()


def test_no_server_is_named_with_the_command(triton):
    for way in ("http", "grpc"):
        with pytest.raises(BackendUnavailable, match="sam6d triton serve"):
            TritonRunner(ServedModel("tiny", "127.0.0.1:1", way, timeout_s=5))
    with pytest.raises(InvalidInput, match="http or grpc"):
        TritonRunner(ServedModel("tiny", protocol="udp"))


@pytest.mark.parametrize("way", ["http", "grpc"])
def test_a_dead_model_process_is_replaced_while_a_client_retries(way, triton, repository):
    images = tensors(1)
    impatient = runner(triton, "tiny_onnx", way)
    patient = runner(triton, "tiny_onnx", way, patience_s=PATIENCE_S)
    os.kill(triton.model_process("tiny_onnx"), signal.SIGKILL)
    with pytest.raises(NotReady, match=r"died|not loaded"):
        impatient.run(images)
    impatient.close()
    assert_same(patient.run(images), local(repository, images))
    patient.close()


def processes_of_group(group: int) -> list[str]:
    """Names of the processes of a group that have not ended (proc_pid_stat(5): state, group)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            name, _, rest = path.read_text().rpartition(")")
            state, _, its_group = rest.split()[:3]
            if int(its_group) == group and state not in "ZX":
                found.append(name)
    return found


def wait_until(condition):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize(("way", "shared"), [("http", False), ("grpc", True)], ids=["http", "shm"])
def test_a_killed_server_is_restarted_while_a_client_retries(way, shared, triton, repository):
    images = tensors(2)
    wanted = local(repository, images)
    client = runner(triton, "tiny_onnx", way, shared_memory=shared, patience_s=PATIENCE_S)
    assert_same(client.run(images), wanted)
    # the supervisor notes at its next probe what an earlier test has loaded again
    wait_until(lambda: "tiny_onnx" in triton.supervisor._models)
    server = triton.supervisor.process
    pid, own = server.pid, f"{server._region_prefix}*"  # not the regions of other servers here
    assert set(SHARED_MEMORY_DIR.glob(own))
    # a model process that hangs does not notice the end of its server
    os.kill(triton.model_process("tiny_onnx"), signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    assert_same(client.run(images), wanted)
    client.close()
    assert triton.supervisor.process.pid != pid
    assert triton.supervisor.ready.wait(PATIENCE_S)
    assert not set(SHARED_MEMORY_DIR.glob(own))
    end = time.monotonic() + PATIENCE_S
    while living := processes_of_group(pid):  # its model processes end with it
        assert time.monotonic() < end, living


@pytest.mark.parametrize("way", ["http", "grpc"])
def test_shared_memory_outlives_a_broken_connection(way, triton, repository):
    """The server has the region already when the client comes back."""
    images = tensors(2)
    client = runner(triton, "tiny_onnx", way, shared_memory=True, patience_s=PATIENCE_S)
    client.run(images)
    client._disconnect()
    assert_same(client.run(images), local(repository, images))
    client.close()


@pytest.mark.parametrize("way", ["http", "grpc"])
def test_a_server_that_never_answers_is_given_up(way):
    pytest.importorskip("tritonclient", reason="missing: pip install -e '.[detectors]'")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(DeadlineExceeded, match=url):
            TritonRunner(ServedModel("tiny", url, way, timeout_s=0.5))
