"""The server's process and its Python environment: what starts, what is refused, what is left."""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sam6d_ros.detectors.triton import process as triton_process
from sam6d_ros.detectors.triton.admin import TritonAdmin
from sam6d_ros.detectors.triton.backend import __file__ as backend_package
from sam6d_ros.detectors.triton.environment import TritonEnvironment, find
from sam6d_ros.detectors.triton.process import SHARED_MEMORY_DIR, Address, TritonProcess
from sam6d_ros.errors import BackendUnavailable, InvalidConfig

NO_SERVER = TritonEnvironment(Path("python3"), Path("nowhere"), Path("nowhere"), "3.11")


def python_that_prints(folder: Path, facts: str) -> Path:
    path = folder / "python3"
    path.write_text(f"#!/bin/sh\necho '{facts}'\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ('{"numpy": "2.4.6", "wheel": "/w", "libdir": "", "minor": "3.11"}', r"NumPy 2\.4\.6"),
        ('{"numpy": "1.26.4", "wheel": "", "libdir": "", "minor": "3.11"}', "nvidia-pytriton"),
        ("Traceback", "no Python environment"),
    ],
)
def test_an_unfit_environment_is_refused_with_the_command_that_makes_one(facts, reason, tmp_path):
    with pytest.raises(BackendUnavailable, match=f"{reason}.*sam6d triton setup"):
        find(python_that_prints(tmp_path, facts))


def test_a_missing_environment_is_named(tmp_path):
    with pytest.raises(BackendUnavailable, match=r"none.*sam6d triton setup"):
        find(tmp_path / "none")


def test_a_model_process_refuses_numpy_2(monkeypatch):
    class Refused(Exception):
        pass

    utils = types.ModuleType("triton_python_backend_utils")
    utils.TritonModelException = Refused
    monkeypatch.setitem(sys.modules, utils.__name__, utils)
    path = Path(backend_package).parent / "model.py"
    spec = importlib.util.spec_from_file_location("triton_model_under_test", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(np, "__version__", "2.0.0")
    with pytest.raises(Refused, match=r"NumPy 2\.0\.0.*numpy<2"):
        module.TritonPythonModel().initialize({})


def test_a_taken_port_is_named_with_its_usual_holder(tmp_path, monkeypatch):
    address = Address.free()
    for name, port in address.ports().items():
        with socket.socket() as holder:
            holder.bind((address.host, port))
            holder.listen()
            monkeypatch.setitem(triton_process.USUAL_HOLDERS, port, "Ray Serve")
            with pytest.raises(BackendUnavailable, match=f"port {port}.*Ray Serve.*--{name}-port"):
                TritonProcess(NO_SERVER, tmp_path, address, {})


def test_a_missing_repository_or_backend_is_named(tmp_path):
    with pytest.raises(InvalidConfig, match="none"):
        TritonProcess(NO_SERVER, tmp_path / "none", Address.free(), {})
    before = set(Path("/tmp").glob("sam6d_triton_*"))
    with pytest.raises(BackendUnavailable, match=r"Python 3\.11"):
        TritonProcess(NO_SERVER, tmp_path, Address.free(), {})
    assert set(Path("/tmp").glob("sam6d_triton_*")) == before


def test_a_server_that_ends_at_once_is_explained(environment, tmp_path):
    address = Address.free()
    process = TritonProcess(environment, tmp_path, replace(address, grpc=address.http), os.environ)
    with pytest.raises(BackendUnavailable, match=r"ended at its start.*(?i:address|port|socket)"):
        process.wait_ready()


@pytest.mark.sam6d
def test_a_stopped_server_leaves_nothing(environment, repository, tmp_path):
    lines = []
    process = TritonProcess(environment, repository, Address.free(), os.environ, lines.append)
    process.wait_ready()
    assert triton_process.is_up(process.address)
    with TritonAdmin(f"127.0.0.1:{process.address.http}") as admin:
        admin.load("tiny_onnx")
    scratch = process._scratch
    regions = list(SHARED_MEMORY_DIR.glob(f"{scratch.name}*"))
    process.stop()
    process.stop()
    assert process.exit_status == 0
    assert not triton_process.is_up(process.address)
    assert regions
    assert not list(SHARED_MEMORY_DIR.glob(f"{scratch.name}*"))
    assert not scratch.exists()
    assert any("Started HTTPService" in line for line in lines)
