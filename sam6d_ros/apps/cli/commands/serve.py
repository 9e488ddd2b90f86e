"""`sam6d serve`: the HTTP services."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from sam6d_ros.apps.cli.commands.serve_models import add_models_role
from sam6d_ros.apps.cli.options import add_backend_options, add_command, add_rejection_options
from sam6d_ros.apps.cli.serve_fleet import add_replica_options, run_on_ray
from sam6d_ros.apps.cli.serve_options import (
    add_limit_options,
    add_log_option,
    add_network_options,
    add_root_option,
    check_least,
    interrupts_end,
    web_libraries,
)
from sam6d_ros.apps.http import environment
from sam6d_ros.apps.http.settings import (
    ALL,
    MODELS,
    ROLES,
    SERVICES,
    Limits,
    ServerSettings,
)
from sam6d_ros.config import PipelineConfig

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
    parser = add_command(
        commands, "serve", "HTTP services: segmentation, poses, pipeline", DESCRIPTION
    )
    roles = parser.add_subparsers(dest="role", required=True, metavar="ROLE")
    for role in ROLES:
        _add_role(roles, role)
    add_models_role(roles, environment_text(MODELS))


def _add_role(roles: argparse._SubParsersAction, role: str) -> None:
    description = f"Serve {SUMMARIES[role]}.\n\n{environment_text(role)}"
    parser = add_command(roles, role, SUMMARIES[role], description)
    services = SERVICES[role]
    ports = {name: f"--{name}-port" if len(services) > 1 else "--port" for name in services}
    add_network_options(parser, ports)
    _add_data_options(parser, role)
    add_backend_options(parser)
    add_rejection_options(parser.add_argument_group("result"))
    if role == ALL:
        add_replica_options(parser)
    parser.set_defaults(run=run)


def _add_data_options(parser: argparse.ArgumentParser, role: str) -> None:
    group = parser.add_argument_group("data")
    group.add_argument("--objects", type=Path, metavar="YAML", help="objects file to load")
    add_root_option(group, "files, to read and to write")
    group.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="folder of uploaded objects (default: served/ in the cache folder)",
    )
    add_log_option(group)
    if role != "ism":
        group.add_argument(
            "--ism-url", default="", metavar="URL", help="segmentation service for full_pipeline"
        )
        _add_session_options(group)
    add_limit_options(group)


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
    if args.role == ALL and args.ray is not None:
        return run_on_ray(args, settings)
    with interrupts_end():
        with web_libraries():
            from sam6d_ros.apps.http.serve import serve
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
    check_least(options, {"deadline": 0.001, "queue": 1, "sessions": 1, "session_s": 1})
    return environment.assemble(args.role, options, found, config)
