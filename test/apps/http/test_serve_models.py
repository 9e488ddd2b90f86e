"""`sam6d serve models` as a process, with the variables of the older server; and its settings."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from support.model_server import PATIENCE_S, picture, text

from sam6d_ros.apps.cli.commands import serve_models
from sam6d_ros.apps.cli.main import build_parser
from sam6d_ros.apps.http.model_server.services import ModelServices
from sam6d_ros.apps.http.model_server.settings import ModelServerSettings, name_of
from sam6d_ros.errors import BackendUnavailable, InvalidConfig

COMMAND = "-m sam6d_ros.apps.cli.main serve models --data-dir data"


def settings_of(words: str, environ: dict[str, str] | None = None):
    args = build_parser().parse_args(["serve", "models", *words.split()])
    return serve_models.settings_of(args, environ or {})


def address_of(process: subprocess.Popen, output: Path) -> str:
    """Wait for the line that names the address."""
    end = time.monotonic() + PATIENCE_S
    while True:
        lines = [line.split() for line in output.read_text().splitlines()]
        found = [line[1] for line in lines if line and line[0] == "models:"]
        if found:
            return found[0]
        assert process.poll() is None, output.read_text()
        assert time.monotonic() < end, output.read_text()
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.detectors
@pytest.mark.sam6d  # torch writes the model
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_command_serves_the_model_of_the_variable_and_ends_in_order(model_root, tmp_path):
    output = tmp_path / "output.txt"
    model = model_root / "tiny" / "model.onnx"
    variables = {"TRT_MODEL_PATH": str(model), "PORT": "0", "USE_CUDA_STREAM": "True"}
    with output.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, *COMMAND.split()],
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=tmp_path,
            env={**os.environ, **variables},
        )
    try:
        address = address_of(process, output)
        transport = httpx.HTTPTransport(retries=5)
        with httpx.Client(base_url=address, timeout=PATIENCE_S, transport=transport) as client:
            while client.get("/health").status_code != 200:
                assert process.poll() is None, output.read_text()
                time.sleep(0.1)
            body = {"image": text(picture())}
            answer = client.post("/predict?threshold=0.9", json=body).raise_for_status().json()
            assert answer["model"] == "model"
            assert answer["result"]["num_detections"] == 1
            again = {"name": "again", "source": str(model)}  # its folder may be named
            assert client.post("/models", json=again).status_code == 201
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, output.read_text()
    finally:
        process.kill()
        process.wait(10)
    assert "Traceback" not in output.read_text()
    assert [path.name for path in (tmp_path / "data").glob("models*")] == ["models.json"]
    (log,) = (tmp_path / "log").iterdir()
    assert log.name.startswith("models_server_")


def test_an_interrupt_ends_the_start_whatever_a_library_catches():
    code = """if True:
        import signal, sys
        from sam6d_ros.apps.cli.serve_options import interrupts_end

        with interrupts_end():
            print("started", flush=True)
            try:
                signal.pause()
            except KeyboardInterrupt:
                pass
        print("went on")
    """
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == ""
        assert process.wait(30) == 130


def test_a_second_server_on_one_folder_is_refused(tmp_path):
    settings = ModelServerSettings(data_dir=tmp_path)
    first = ModelServices(settings)
    with pytest.raises(BackendUnavailable, match="--data-dir"):
        ModelServices(settings)
    asyncio.run(first.close())
    asyncio.run(ModelServices(settings).close())


def test_defaults_are_loopback_port_5000_and_no_model():
    settings = settings_of("")
    address = settings.addresses["models"]
    assert (address.host, address.port) == ("127.0.0.1", 5000)
    assert (settings.models, settings.roots, settings.poses) == ((), (), None)
    assert settings.registry.memory_bytes is None


def test_variables_are_read_and_options_go_before_them(tmp_path):
    model = tmp_path / "20240718_gauge_detection.trt"
    model.touch()
    environ = {"TRT_MODEL_PATH": str(model), "USE_CUDA_STREAM": "True", "PORT": "5001"}
    settings = settings_of("--model a=http://host:8000/m", environ)
    assert settings.addresses["models"].port == 5001
    assert settings_of("--port 7", environ).addresses["models"].port == 7
    assert [(spec.name, spec.source, spec.use_cuda_stream) for spec in settings.models] == [
        ("a", "http://host:8000/m", True),
        ("20240718_gauge_detection", str(model), True),
    ]
    assert settings.default_model == "a"
    assert settings.roots == (tmp_path,)


def test_a_name_that_is_given_twice_is_refused():
    with pytest.raises(InvalidConfig, match="'a' twice"):
        settings_of("--model a=x.onnx --model a=y.onnx")


def test_models_of_the_command_are_isolated_by_option():
    (spec,) = settings_of("--model a=x.onnx --isolate").models
    assert spec.isolated


def test_options_limit_the_models(tmp_path):
    words = f"--memory-mb 100 --evict --queue 3 --deadline 5 --allow-root {tmp_path} --model m.onnx"
    settings = settings_of(words)
    assert settings.registry.memory_bytes == 100 << 20
    assert settings.registry.evict
    (spec,) = settings.models
    assert (spec.name, spec.capacity, spec.timeout_s) == ("m", 3, 5.0)


def test_an_objects_file_adds_the_pose_pipeline(tmp_path):
    settings = settings_of(f"--objects {tmp_path}/objects.yaml --backend geometric")
    assert settings.poses.objects_file == tmp_path / "objects.yaml"
    assert settings.poses.config.backend == "geometric"


@pytest.mark.parametrize(
    ("words", "environ", "match"),
    [
        ("--port 70000", {}, "port"),
        ("--deadline nan", {}, "deadline"),
        ("--deadline inf", {}, "deadline"),
        ("--queue 0", {}, "--queue"),
        ("--memory-mb 0", {}, "--memory-mb"),
        ("--deadline 0", {}, "--deadline"),
        ("--model =x", {}, "model name"),
        ("--model ../..", {}, "model name"),
        ("", {"PORT": "five"}, "PORT"),
        ("", {"USE_CUDA_STREAM": "perhaps"}, "USE_CUDA_STREAM"),
    ],
)
def test_unusable_settings_are_named(words, environ, match):
    with pytest.raises(InvalidConfig, match=match):
        settings_of(words, environ)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("models/gauge v2.onnx", "gauge_v2"),
        ("models/things/", "things"),
        ("grpc://host:8001/thing", "thing"),
        ("/a/.hidden.pt", "hidden"),
        ("x" * 99, "x" * 64),
    ],
)
def test_a_model_without_a_name_has_that_of_its_source(source, name):
    assert name_of(source) == name
