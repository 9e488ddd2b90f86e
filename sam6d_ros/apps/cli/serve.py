"""`sam6d serve`: the HTTP services."""

from __future__ import annotations

import argparse
import math
import os
from pathlib import Path
from typing import Any

from sam6d_ros.apps.cli.options import add_backend_options, add_command, add_rejection_options
from sam6d_ros.apps.cli.serve_models import add_models_role
from sam6d_ros.apps.http import environment
from sam6d_ros.apps.http.settings import (
    ALL,
    DEFAULT_PORTS,
    LOOPBACK,
    MODELS,
    ROLES,
    SERVICES,
    Limits,
    ServerSettings,
)
from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import BackendUnavailable, InvalidConfig

SUMMARIES = {
    "ism": "instance segmentation",
    "pem": "pose estimation and the full pipeline",
    "all": "both, on one engine",
}
DESCRIPTION = """\
Serve over HTTP; see /docs of the running server, and docs/http.md.

  sam6d serve all --objects objects.yaml       segmentation on 8002, poses on 8003
  curl -s http://127.0.0.1:8003/test/sample > sample.json
  curl -s -H 'Content-Type: application/json' -d @sample.json \\
       http://127.0.0.1:8003/api/v1/full_pipeline"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register the subcommand with one subcommand per role."""
    parser = add_command(commands, "serve", "HTTP services", DESCRIPTION)
    roles = parser.add_subparsers(dest="role", required=True, metavar="ROLE")
    for role in ROLES:
        _add_role(roles, role)
    add_models_role(roles, environment_text(MODELS))


def _add_role(roles: argparse._SubParsersAction, role: str) -> None:
    description = f"Serve {SUMMARIES[role]}.\n\n{environment_text(role)}"
    parser = add_command(roles, role, SUMMARIES[role], description)
    network = parser.add_argument_group("network")
    network.add_argument("--host", help=f"address to listen on (default: {LOOPBACK})")
    for service in SERVICES[role]:
        name = f"--{service}-port" if role == ALL else "--port"
        network.add_argument(
            name,
            dest=f"{service}_port",
            type=int,
            metavar="N",
            help=f"port (default: {DEFAULT_PORTS[service]}; 0 takes a free one)",
        )
    network.add_argument(
        "--token-file", type=Path, metavar="FILE", help="clients must send the token in this file"
    )
    _add_data_options(parser, role)
    add_backend_options(parser)
    add_rejection_options(parser.add_argument_group("result"))
    parser.set_defaults(run=run)


def _add_data_options(parser: argparse.ArgumentParser, role: str) -> None:
    group = parser.add_argument_group("data")
    group.add_argument("--objects", type=Path, metavar="YAML", help="objects file to load")
    group.add_argument(
        "--allow-root",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="folder in which clients may name files, to read and to write (default: none)",
    )
    group.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="folder of uploaded objects (default: served/ in the cache folder)",
    )
    group.add_argument(
        "--log-dir", type=Path, default=Path("log"), metavar="DIR", help="default: %(default)s"
    )
    if role != "ism":
        group.add_argument(
            "--ism-url", default="", metavar="URL", help="segmentation service for full_pipeline"
        )
        _add_session_options(group)
    group.add_argument(
        "--deadline",
        type=float,
        default=Limits.deadline_s,
        metavar="S",
        help="seconds from a request to its answer (default: %(default)s)",
    )
    group.add_argument(
        "--queue",
        type=int,
        default=Limits.queue,
        metavar="N",
        help="requests that wait; further ones get status 429 (default: %(default)s)",
    )


def _add_session_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--sessions",
        type=int,
        default=Limits.sessions,
        metavar="N",
        help="tracking sessions at once; a further one gets status 429 (default: %(default)s)",
    )
    group.add_argument(
        "--session-s",
        type=float,
        default=Limits.session_s,
        metavar="S",
        help="seconds after which an unused tracking session ends (default: %(default)s)",
    )


def environment_text(role: str) -> str:
    """Return the table of the variables that a role reads."""
    rows = environment.variables_of(role)
    width = max(len(row.name) for row in rows)
    lines = [f"  {row.name:{width}}  {row.text}" for row in rows]
    return "environment (an option goes before its variable):\n" + "\n".join(lines)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal."""
    settings = settings_of(args, dict(os.environ))
    try:
        from sam6d_ros.apps.http.serve import serve
    except ModuleNotFoundError as error:
        raise BackendUnavailable(
            f"`sam6d serve` needs {error.name}, which is not installed; run: "
            "pip install 'sam6d_ros[http]'"
        ) from error
    return serve(settings)


def settings_of(args: argparse.Namespace, environ: dict[str, str]) -> ServerSettings:
    """Return the settings of the arguments and the environment.

    Raises:
        InvalidConfig: a value is unusable.
    """
    found = environment.read_environment(args.role, environ)
    options: dict[str, Any] = vars(args)
    config = PipelineConfig(
        backend=args.backend,
        backend_options=args.backend_options,
        device=args.device,
        weights_dir=args.weights,
        min_score=args.min_score,
        max_instances=args.max_instances,
    )
    for name, least in (("deadline", 0.001), ("queue", 1), ("sessions", 1), ("session_s", 1)):
        if not least <= options.get(name, least) < math.inf:
            option = name.replace("_", "-")
            raise InvalidConfig(f"--{option} is {options[name]}; expected at least {least}, finite")
    return environment.assemble(args.role, options, found, config)
