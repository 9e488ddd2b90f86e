"""`sam6d triton`: a Triton server from the package index, and the models of a running one."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from rich.table import Table

from sam6d_ros.apps.cli.options import add_command, result_console
from sam6d_ros.apps.environment import default_cache_dir
from sam6d_ros.detectors.triton.admin import TritonAdmin
from sam6d_ros.detectors.triton.environment import find, set_up
from sam6d_ros.detectors.triton.process import Address, TritonProcess
from sam6d_ros.detectors.triton.repository import models_of
from sam6d_ros.detectors.triton.supervisor import Supervisor

DONE, UNABLE = 0, 4

DESCRIPTION = """\
examples:
  sam6d triton setup              make the server's Python environment, once (220 MB)
  sam6d triton serve REPO         serve all models of a repository, on CPU
  sam6d triton status             state of each model, by a small inference
  sam6d triton unload fasterrcnn
  sam6d triton load fasterrcnn

The repository is that of `sam6d detector export`; it runs unchanged on NVIDIA's image."""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register the subcommand."""
    parser = add_command(commands, "triton", "a Triton server and its models", DESCRIPTION)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    setup = actions.add_parser("setup", help="make the server's Python environment")
    _add_environment(setup)
    setup.set_defaults(run=run_setup)
    serve = actions.add_parser("serve", help="run a server until Ctrl-C")
    _add_serve_options(serve)
    serve.set_defaults(run=run_serve)
    for name, summary in (("load", "load a model, or load it again"), ("unload", "unload a model")):
        action = actions.add_parser(name, help=summary)
        action.add_argument("model", help="name of the model")
        _add_url(action)
        action.set_defaults(run=run_load if name == "load" else run_unload)
    status = actions.add_parser("status", help="state of each model of the repository")
    _add_url(status)
    status.set_defaults(run=run_status)


def _add_environment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--environment",
        type=Path,
        default=default_cache_dir() / "triton",
        help="folder of the server's Python environment (default: %(default)s)",
    )


def _add_url(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--url", default="127.0.0.1:8000", help="HTTP of the server (default: %(default)s)"
    )


def _add_serve_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repository", type=Path, help="folder of models")
    parser.add_argument(
        "--models", nargs="*", metavar="MODEL", help="models that are loaded (default: all)"
    )
    parser.add_argument("--host", default=Address.host, help="interface (default: %(default)s)")
    for name, port in Address().ports().items():
        parser.add_argument(
            f"--{name}-port", type=int, default=port, help=f"{name} port (default: %(default)s)"
        )
    _add_environment(parser)


def run_setup(args: argparse.Namespace) -> int:
    """Make the environment."""
    environment = set_up(args.environment.expanduser())
    print(f"Triton is ready in {environment.wheel}")
    return DONE


def run_serve(args: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    known = models_of(args.repository)
    models = known if args.models is None else args.models
    environment = find(args.environment.expanduser() / "bin/python3")
    address = Address(args.host, args.http_port, args.grpc_port, args.metrics_port)

    def start() -> TritonProcess:
        return TritonProcess(environment, args.repository, address, os.environ, _to_stderr)

    stopped = threading.Event()
    previous = {
        number: signal.signal(number, lambda *_: stopped.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        print(f"HTTP {args.host}:{address.http}, gRPC :{address.grpc}, metrics :{address.metrics}")
        Supervisor(start, models, report=_to_stdout).run(stopped)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return DONE


def run_load(args: argparse.Namespace) -> int:
    """Load one model."""
    with TritonAdmin(args.url) as admin:
        admin.load(args.model)
    print(f"loaded '{args.model}'")
    return DONE


def run_unload(args: argparse.Namespace) -> int:
    """Unload one model."""
    with TritonAdmin(args.url) as admin:
        admin.unload(args.model)
    print(f"unloaded '{args.model}'")
    return DONE


def run_status(args: argparse.Namespace) -> int:
    """Print a table; the exit code states whether each loaded model answers."""
    with TritonAdmin(args.url) as admin:
        states = admin.states()
    table = Table("model", "state", "probe")
    table.add_column("problem", overflow="fold")
    for state in states:
        probe = f"{1000 * state.seconds:.0f} ms" if state.answers else ""
        table.add_row(state.name, state.state or "not loaded", probe, state.problem)
    result_console().print(table, highlight=False)
    broken: list[Any] = [s for s in states if s.state == "READY" and not s.answers]
    return UNABLE if broken else DONE


def _to_stdout(line: str) -> None:
    print(line, flush=True)


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
