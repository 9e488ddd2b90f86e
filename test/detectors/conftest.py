"""A running Triton with two small models, under its supervisor, for all tests of one run."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.tiny_detector import MANIFEST, write_onnx, write_torchscript
from support.triton_server import Served

from sam6d_ros.apps.environment import default_cache_dir
from sam6d_ros.detectors.triton.environment import TritonEnvironment, find
from sam6d_ros.detectors.triton.process import Address, TritonProcess
from sam6d_ros.detectors.triton.repository import ServingOptions, version_folder, write_model
from sam6d_ros.detectors.triton.supervisor import Supervisor
from sam6d_ros.errors import BackendUnavailable

BATCHED = ServingOptions(max_batch=8, preferred_batch=(4, 8), queue_delay_us=20000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.detectors)


@pytest.fixture(scope="session")
def environment() -> TritonEnvironment:
    pytest.importorskip("tritonclient", reason="missing: pip install -e '.[detectors]'")
    try:
        return find(default_cache_dir() / "triton/bin/python3")
    except BackendUnavailable as error:
        pytest.skip(f"Triton is missing (sam6d triton setup): {error}")


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models: `tiny` from TorchScript, `tiny_onnx` from ONNX."""
    folder = tmp_path_factory.mktemp("repository")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, kind, write in (
            ("tiny", "torchscript", write_torchscript),
            ("tiny_onnx", "onnx", write_onnx),
        ):
            version_folder(folder, name).mkdir(parents=True)
            write(version_folder(folder, name))
            write_model(folder, replace(MANIFEST, name=name), kind, BATCHED)
    return folder


@pytest.fixture(scope="session")
def triton(environment: TritonEnvironment, repository: Path) -> Iterator[Served]:
    address, log, failures = Address.free(), [], []

    def start() -> TritonProcess:
        return TritonProcess(environment, repository, address, os.environ, log.append)

    supervisor = Supervisor(start, ["tiny", "tiny_onnx"], probe_period_s=0.3, report=log.append)
    stopped = threading.Event()

    def run() -> None:
        try:
            supervisor.run(stopped)
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=run, name="supervisor")
    thread.start()
    try:
        assert supervisor.ready.wait(120), failures or "\n".join(log[-30:])
        yield Served(supervisor, address, log)
    finally:
        stopped.set()
        thread.join(60)
    assert not thread.is_alive()
    assert not failures
