"""The HTTP services on Ray Serve: shared objects, new objects files, and lost replicas."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import numpy as np
import pytest
from support.cluster_processes import actor_processes
from support.fleet_frames import CAMERA, DEPTH_SCALE

from sam6d_ros.apps.cli.serve_fleet import user_config
from sam6d_ros.apps.http import serve_ray
from sam6d_ros.apps.http.settings import FLEET, Address, ServerSettings
from sam6d_ros.config import PipelineConfig
from sam6d_ros.evaluation.bop import BopDataset
from sam6d_ros.fleet import replicas
from sam6d_ros.fleet.remote import RemoteEngine, RemoteSettings
from sam6d_ros.runtime.build import EngineSpec, build_engine

WAIT_S = 120.0
LONGEST_S = 30.0  # from a request to its answer
SCALING = replicas.Scaling(least=2, most=2, cpus=0.4)
CLIENTS = 4


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def settings(frames: Path) -> ServerSettings:
    return ServerSettings(
        addresses={FLEET: Address("127.0.0.1", free_port())},
        config=PipelineConfig(backend="geometric"),
        cache_dir=frames.parent / "cache",
    )


@pytest.fixture(scope="module")
def client(cluster, settings, frames):
    """Client of two replicas with the object "box"."""
    with serve_ray.connected_services(cluster.address):
        serve_ray.deploy(settings, SCALING, user_config(frames / "objects.yaml"))
        address = settings.addresses[FLEET]
        with httpx.Client(
            base_url=f"http://{address.host}:{address.port}", timeout=LONGEST_S
        ) as client:
            wait_until(lambda: running(client) == 2, "two replicas")
            yield client
        replicas.end()


@pytest.fixture(scope="module")
def body(frames):
    scene = frames / "test/000002"
    images = {
        f"{name}_image": base64.b64encode((scene / folder / "000001.png").read_bytes()).decode()
        for name, folder in (("rgb", "rgb"), ("depth", "depth"))
    }
    camera = {"cam_K": CAMERA.matrix.ravel().tolist(), "depth_scale": DEPTH_SCALE}
    return {**images, "cam_params": camera, "object": "box"}


def wait_until(condition, what):
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, f"waited {WAIT_S} s for {what}"
        time.sleep(0.1)


def running(client) -> int:
    health = client.get("/health")
    return health.json()["replicas"].get("RUNNING", 0) if health.status_code == 200 else 0


def objects(client) -> set[str]:
    return {item["name"] for item in client.get("/api/v1/objects").json()["objects"]}


def replica_processes(cluster) -> list[int]:
    """Processes of the replicas on the nodes of this cluster."""
    return actor_processes(cluster, "ServeReplica")


def test_the_health_is_that_of_the_whole_and_poses_are_served(client, body):
    health = client.get("/health").json()
    assert health["status"] == "healthy"
    assert health["replicas"] == {"RUNNING": 2}
    answer = client.post("/api/v1/full_pipeline", json=body)
    assert answer.status_code == 200, answer.text
    assert [pose["name"] for pose in answer.json()["pem_result"]["poses"]] == ["box"]


def upload(client, frames, name) -> None:
    mesh = {"mesh": ("cup.ply", (frames / "models/obj_000001.ply").read_bytes())}
    answer = client.post("/api/v1/objects", files=mesh, data={"name": name, "unit": "mm"})
    assert answer.status_code == 201, answer.text


def test_an_uploaded_object_is_on_all_replicas_and_gone_from_all(client, frames):
    upload(client, frames, "cup")
    assert all(objects(client) == {"box", "cup"} for _ in range(12))  # of either replica
    assert client.delete("/api/v1/objects/cup").status_code == 200
    assert all(objects(client) == {"box"} for _ in range(12))


def test_an_engine_with_remote_stages_finds_what_a_local_one_does(client, settings, frames):
    spec = EngineSpec(settings.config, settings.cache_dir, objects_file=frames / "objects.yaml")
    local, frame = build_engine(spec), BopDataset(frames).frame(2, 1)
    access = RemoteSettings(str(client.base_url), LONGEST_S)
    (here,), (there,) = (e.run(frame).items for e in (local, RemoteEngine(local, access, "full")))
    assert there.class_id == here.class_id
    assert np.allclose(there.cam_from_obj, here.cam_from_obj)


class Load:
    """Clients that ask for poses all the time, until the end of a ``with``.

    Attributes:
        answers: number of answers with each status.
        unnamed: texts of refusals that are no errors of the services.
        slowest_s: longest time to an answer.
    """

    def __init__(self, client, body) -> None:
        self._client, self._body = client, body
        self.answers: Counter[int] = Counter()
        self.unnamed: list[str] = []
        self.slowest_s = 0.0
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        self.wait_for(CLIENTS)
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(LONGEST_S)
        assert not any(thread.is_alive() for thread in self._threads)

    def wait_for(self, more: int) -> None:
        """Wait for so many further poses."""
        wanted = self.answers[200] + more
        wait_until(lambda: self.answers[200] >= wanted, f"{more} answers; {self.answers}")

    def _ask(self) -> None:
        while not self._stop.is_set():
            start = time.monotonic()
            answer = self._client.post("/api/v1/full_pipeline", json=self._body)
            with self._lock:
                self.answers[answer.status_code] += 1
                self.slowest_s = max(self.slowest_s, time.monotonic() - start)
                if answer.status_code != 200 and "error_message" not in answer.text:
                    self.unnamed.append(answer.text)


def test_a_replica_killed_under_load_leaves_no_request_without_an_answer(
    cluster, client, body, frames
):
    upload(client, frames, "cup")
    with Load(client, body) as load:
        os.kill(replica_processes(cluster)[0], signal.SIGKILL)
        load.wait_for(3 * CLIENTS)
    assert set(load.answers) <= {200, 429, 503}
    assert load.unnamed == []
    assert load.slowest_s < LONGEST_S
    wait_until(lambda: running(client) == 2, "a new replica")
    assert all(objects(client) == {"box", "cup"} for _ in range(12))  # of the new one as well
    assert client.delete("/api/v1/objects/cup").status_code == 200


def test_requests_that_kill_all_replicas_are_refused_by_name(cluster, client, body):
    with Load(client, body) as load:
        for process in replica_processes(cluster):
            os.kill(process, signal.SIGKILL)
        load.wait_for(CLIENTS)
    assert set(load.answers) <= {200, 429, 503}
    assert load.unnamed == []
    wait_until(lambda: running(client) == 2, "new replicas")


def test_a_new_objects_file_reaches_all_replicas_while_they_serve(
    cluster, client, body, settings, frames
):
    before, text = set(replica_processes(cluster)), (frames / "objects.yaml").read_text()
    changed = frames / "changed.yaml"
    with Load(client, body) as load:
        changed.write_text(text + text.split("\n", 1)[1].replace("box", "parcel"))
        serve_ray.deploy(settings, SCALING, user_config(changed))
        assert all(objects(client) == {"box", "parcel"} for _ in range(12))
        load.wait_for(CLIENTS)
    assert set(load.answers) == {200}
    changed.write_text(text.replace("box", "parcel"))
    serve_ray.deploy(settings, SCALING, user_config(changed))
    assert all(objects(client) == {"parcel"} for _ in range(12))
    answer = client.post("/api/v1/full_pipeline", json={**body, "object": "parcel"})
    assert answer.status_code == 200, answer.text
    assert set(replica_processes(cluster)) == before  # not one was replaced


@pytest.fixture
def damaged(frames):
    """Objects file whose mesh is damaged."""
    (frames / "models/broken.ply").write_text("no mesh")
    path = frames / "damaged.yaml"
    path.write_text("objects:\n- {name: cup, mesh: models/broken.ply, unit: mm}")
    return path


def test_a_damaged_mesh_ends_no_replica_and_is_named(cluster, client, settings, damaged):
    before, processes = objects(client), set(replica_processes(cluster))
    unchecked = {"objects": str(damaged), "revision": "1"}  # as config/serve.yaml states it
    serve_ray.deploy(settings, SCALING, unchecked)
    assert all(objects(client) == before for _ in range(12))
    assert set(replica_processes(cluster)) == processes
    assert "broken.ply" in client.get("/health").json()["message"]


class Server:
    """`sam6d serve all --ray` with a Ray of its own; its output is read from a file."""

    def __init__(self, folder: Path, port: int, *more: str) -> None:
        self._log = folder / "serve.log"
        words = ["serve", "all", "--ray", "--ray-port", str(port), "--replica-cpus", "0.4", *more]
        with self._log.open("w") as log:
            program = [sys.executable, "-m", "sam6d_ros.apps.cli.main", *words]
            self.process = subprocess.Popen(program, stdout=log, stderr=log)

    def wait_for(self, text: str) -> None:
        def is_there() -> bool:
            assert self.process.poll() is None, self._log.read_text()
            return text in self._log.read_text()

        wait_until(is_there, text)


def test_the_command_serves_until_a_signal_and_takes_new_objects(
    fleet_environment, frames, body, damaged, tmp_path
):
    objects_file, port = tmp_path / "objects.yaml", free_port()
    good = (frames / "objects.yaml").read_text().replace("models/", f"{frames}/models/")
    objects_file.write_text(good)
    cache = str(frames.parent / "cache")
    server = Server(tmp_path, port, "--objects", str(objects_file), "--cache-dir", cache)
    try:
        server.wait_for(f"poses: http://127.0.0.1:{port}")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=LONGEST_S) as client:
            objects_file.write_text(damaged.read_text().replace("models/", f"{frames}/models/"))
            server.process.send_signal(signal.SIGHUP)
            server.wait_for("kept the present objects")
            assert client.post("/api/v1/full_pipeline", json=body).status_code == 200
            objects_file.write_text(good.replace("box", "parcel"))
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: objects(client) == {"parcel"}, "the new objects")
        server.process.terminate()
        assert server.process.wait(WAIT_S) == 0
    finally:
        server.process.kill()
        server.process.wait()
