"""`sam6d serve` as a process: ports, log file, warnings, an orderly end; and its settings."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from sam6d_ros.apps.cli.commands import serve
from sam6d_ros.apps.cli.main import build_parser, main
from sam6d_ros.apps.http.serve import bound
from sam6d_ros.apps.http.settings import Address, Limits
from sam6d_ros.errors import InvalidConfig


def settings_of(words: str, environ: dict[str, str] | None = None):
    args = build_parser().parse_args(["serve", *words.split()])
    return serve.settings_of(args, environ or {})


@pytest.fixture
def process(tmp_path):
    """The command with free ports; its output goes to a file."""
    command = "-m sam6d_ros.apps.cli.main serve all --ism-port 0 --pem-port 0 --backend geometric"
    output = tmp_path / "output.txt"
    with output.open("w") as file:
        running = subprocess.Popen(
            [sys.executable, *command.split(), "--cache-dir", str(tmp_path / "cache")],
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=tmp_path,
            env={**os.environ, "ISM_LOG_LEVEL": "info"},
        )
    try:
        yield running, output
    finally:
        running.kill()
        running.wait(10)


def addresses(running, output) -> dict[str, str]:
    """Wait for the lines that name the services."""
    end = time.monotonic() + 60
    while True:
        lines = [line.split() for line in output.read_text().splitlines()]
        found = {line[0][:3]: line[1] for line in lines if line and line[0] in ("ism:", "pem:")}
        if len(found) == 2:
            return found
        assert running.poll() is None, output.read_text()
        assert time.monotonic() < end, output.read_text()
        time.sleep(0.05)


@pytest.mark.slow
def test_the_command_serves_and_ends_in_order(process, tmp_path):
    running, output = process
    urls = addresses(running, output)
    end = time.monotonic() + 60
    while True:
        try:
            if httpx.get(urls["pem"] + "/health").status_code == 200:
                break
        except httpx.ConnectError:
            pass
        assert time.monotonic() < end, output.read_text()
        time.sleep(0.1)
    assert httpx.get(urls["ism"] + "/health").status_code == 200
    assert f"(page: {urls['pem']}/, docs: {urls['pem']}/docs)" in output.read_text()
    running.send_signal(signal.SIGTERM)
    assert running.wait(30) == 0, output.read_text()
    assert "ready: objects: none" in output.read_text()
    assert "Traceback" not in output.read_text()
    (log,) = (tmp_path / "log").iterdir()
    assert log.name.startswith("all_server_")
    assert "Application shutdown complete" in log.read_text()


def test_a_taken_port_names_its_usual_holder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        monkeypatch.setattr("sam6d_ros.apps.http.serve.USUAL_HOLDERS", {port: "a gauge reader"})
        code = main(["serve", "pem", "--port", str(port), "--backend", "geometric"])
    assert code == 4
    text = capsys.readouterr().err
    assert f"port {port} of 127.0.0.1 is taken" in text
    assert "a gauge reader" in text


def test_answers_are_not_delayed_by_the_network():
    """Each connection must have TCP_NODELAY, which asyncio sets by the protocol."""
    with bound(Address("127.0.0.1", 0)) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_defaults_are_loopback_and_the_older_ports():
    settings = settings_of("all --backend geometric")
    assert {name: (a.host, a.port) for name, a in settings.addresses.items()} == {
        "ism": ("127.0.0.1", 8002),
        "pem": ("127.0.0.1", 8003),
    }
    assert settings.roots == ()
    assert settings.limits == Limits()


def test_limits_are_options():
    words = "pem --queue 2 --deadline 3.5 --sessions 4 --session-s 5.5 --backend geometric"
    expected = Limits(queue=2, deadline_s=3.5, sessions=4, session_s=5.5)
    assert settings_of(words).limits == expected


def test_variables_are_read_and_options_go_before_them():
    environ = {
        "ISM_SERVER_HOST": "0.0.0.0",
        "ISM_SERVER_PORT": "9002",
        "ISM_LOG_LEVEL": "debug",
        "ISM_MODEL_TYPE": "sam",
        "PEM_SERVER_PORT": "1",
    }
    settings = settings_of("ism --backend geometric", environ)
    assert settings.addresses["ism"].host == "0.0.0.0"
    assert settings.addresses["ism"].port == 9002
    assert settings.log_level == "DEBUG"
    assert settings_of("ism --port 5", environ).addresses["ism"].port == 5


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ISM_MODEL_TYPE", "fastsam", "ISM_MODEL_TYPE is 'fastsam'; expected one of"),
        ("ISM_SERVER_PORT", "http", "ISM_SERVER_PORT"),
        ("ISM_SERVER_PORT", "70000", "65535"),
        ("ISM_STABILITY_THRESHOLD", "2", r"\[0, 1\]"),
        ("ISM_LOG_LEVEL", "loud", "DEBUG"),
    ],
)
def test_variables_that_cannot_be_are_refused(name, value, words):
    with pytest.raises(InvalidConfig, match=words):
        settings_of("ism --backend geometric", {name: value})


def test_a_variable_without_effect_is_noted(tmp_path):
    environ = {"ISM_STABILITY_THRESHOLD": "0.9", "ISM_CONFIG_DIR": str(tmp_path)}
    settings = settings_of("ism --backend geometric", environ)
    assert any("ISM_STABILITY_THRESHOLD" in note for note in settings.notes)
    assert settings.read_roots == (tmp_path,)


def test_the_threshold_goes_to_the_backend_that_has_it():
    environ = {"ISM_STABILITY_THRESHOLD": "0.9"}
    settings = settings_of("ism --backend sam6d --backend-options views=21", environ)
    assert settings.config.backend_options == "views=21 min_stability=0.9"


def test_folders_of_variables_may_be_read(tmp_path):
    mesh = tmp_path / "cad" / "part.ply"
    mesh.parent.mkdir()
    mesh.touch()
    environ = {"ISM_CAD_MODEL_PATH": str(mesh), "ISM_CHECKPOINTS_DIR": str(tmp_path)}
    settings = settings_of("ism --backend geometric", environ)
    assert settings.cad_path == str(mesh)
    assert set(settings.read_roots) == {mesh.parent, tmp_path}
    assert settings.config.weights_dir == tmp_path


@pytest.mark.parametrize(
    "words",
    [
        "pem --deadline 0",
        "pem --queue 0",
        "pem --deadline nan",
        "pem --sessions 0",
        "pem --session-s 0",
        "pem --port -1",
    ],
)
def test_options_that_cannot_be_are_refused(words):
    with pytest.raises(InvalidConfig):
        settings_of(f"{words} --backend geometric")


def test_help_lists_the_variables(capsys):
    with pytest.raises(SystemExit):
        build_parser().parse_args(["serve", "ism", "--help"])
    text = capsys.readouterr().out
    for name in ("ISM_MODEL_TYPE", "ISM_TEMPLATE_DIR", "ISM_SERVER_PORT", "ISM_LOG_LEVEL"):
        assert name in text
