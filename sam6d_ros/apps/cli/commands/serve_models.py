"""`sam6d serve models`: many detectors over HTTP."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from sam6d_ros.apps.cli.options import add_cache_option, add_command
from sam6d_ros.apps.cli.serve_options import (
    add_limit_options,
    add_log_option,
    add_network_options,
    add_root_option,
    check_least,
    interrupts_end,
    web_libraries,
)
from sam6d_ros.apps.environment import default_cache_dir
from sam6d_ros.apps.http import environment
from sam6d_ros.apps.http.model_server.settings import ModelServerSettings, assemble
from sam6d_ros.apps.http.settings import MODELS
from sam6d_ros.config import PipelineConfig

SUMMARY = "many detectors, loaded and unloaded at run time"
DESCRIPTION = """\
Serve many detectors; see /docs of the running server, and docs/model_server.md.

  sam6d serve models --model things=models/things/1/model.onnx --allow-root models
  curl -s -F image=@photo.png 'http://127.0.0.1:5000/predict?threshold=0.4'

"""


def add_models_role(roles: argparse._SubParsersAction, variables: str) -> None:
    """Register the role.

    Args:
        variables: table of the environment variables, for the help text.
        roles: receives the parser of the role.
    """
    parser = add_command(roles, MODELS, SUMMARY, DESCRIPTION + variables)
    add_network_options(parser, {MODELS: "--port"})
    group = parser.add_argument_group("models")
    group.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="[NAME=]SOURCE",
        help="model to load at the start: a file (.onnx, .pt, .engine, .trt), a folder, or the "
        "address of a Triton model; several times for several",
    )
    group.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    group.add_argument(
        "--use-cuda-stream",
        action="store_true",
        default=None,
        help="a CUDA stream for each model (default: no)",
    )
    group.add_argument(
        "--isolate",
        action="store_true",
        help="a process for each of these models, whose crash harms no other (default: threads)",
    )
    group.add_argument(
        "--memory-mb", type=int, metavar="N", help="limit of all models together (default: none)"
    )
    group.add_argument(
        "--evict",
        action="store_true",
        help="at the limit, unload the model unused for longest; its next request loads it again",
    )
    _add_pose_options(parser)
    _add_data_options(parser)
    parser.set_defaults(run=run)


def _add_pose_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("poses on streams with depth")
    group.add_argument(
        "--objects",
        type=Path,
        metavar="YAML",
        help="objects file; adds the model 'poses', the pose pipeline (default: none)",
    )
    group.add_argument(
        "--backend", default=PipelineConfig.backend, help="of that model (default: %(default)s)"
    )
    add_cache_option(group)


def _add_data_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("data")
    add_root_option(group, "model files and videos")
    group.add_argument(
        "--allow-network",
        action="append",
        default=[],
        metavar="NET",
        help="network whose cameras and Triton servers clients may name, such as "
        "192.168.1.0/24, or 'private'; public addresses always may be named (default: none)",
    )
    group.add_argument(
        "--allow-devices",
        action="store_true",
        help="clients may name cameras of this machine, /dev/videoN (default: no)",
    )
    group.add_argument(
        "--data-dir",
        type=Path,
        default=default_cache_dir() / "models",
        metavar="DIR",
        help="folder of the file of registered models (default: %(default)s)",
    )
    add_log_option(group)
    add_limit_options(group, "wait for a model")


def run(args: argparse.Namespace) -> int:
    """Serve until a signal."""
    settings = settings_of(args, dict(os.environ))
    with interrupts_end():
        with web_libraries():
            from sam6d_ros.apps.http.serve import serve_models
        return serve_models(settings)


def settings_of(args: argparse.Namespace, environ: dict[str, str]) -> ModelServerSettings:
    """Return the settings of the arguments and the environment.

    Raises:
        InvalidConfig: a value is unusable.
    """
    options = vars(args)
    check_least(options, {"deadline": 0.001, "queue": 1, "memory_mb": 1})
    return assemble(options, environment.read_environment(MODELS, environ))
