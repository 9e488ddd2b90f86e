"""Parameters of a node that its engine is built from, and the spec that they make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from rclpy.node import Node

from sam6d_ros.apps.environment import default_cache_dir
from sam6d_ros.apps.ros.node.parameters import Parameter
from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import InvalidConfig
from sam6d_ros.fleet.remote import RemoteEngine, RemoteSettings
from sam6d_ros.runtime.build import EngineSpec
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.stages.backends import AUTO, check_name

# An engine with its objects, warmed up.
EngineBuilder = Callable[[EngineSpec], Engine]

OBJECT_PARAMETERS = (
    Parameter(
        "objects_file",
        "",
        "YAML list of the objects to look for (docs/objects.md)",
        read_only=False,
    ),
    Parameter(
        "object_roots",
        [""],
        "folders in which files named by ~/add_object and ~/follow_objects must lie; empty: any",
    ),
    Parameter("cache_dir", "", "where onboarded objects are kept; empty: ~/.cache/sam6d_ros"),
)
STAGE_PARAMETERS = (
    Parameter("backend", AUTO, "implementation of the stages (docs/backends.md)", check=check_name),
    Parameter("device", "auto", "auto, cpu or cuda[:N], for a backend with networks"),
    Parameter("weights_dir", "", "sam6d checkpoints; empty: ~/.cache/sam6d_ros/weights"),
    Parameter("backend_options", "", "options of the backend (docs/backends.md)"),
    Parameter(
        "max_instances",
        PipelineConfig.max_instances,
        "most instances of one object that are looked for",
        read_only=False,
        limits=(1, 100),
    ),
    Parameter(
        "budget_s",
        0.0,
        "time of one frame after which no search for a further object begins, seconds; likely "
        "objects are searched first, the others are named in the log; 0: no limit; only the "
        "geometric backend of segmentation_node keeps it",
        limits=(0.0, 86400.0),
    ),
)
REMOTE_PARAMETERS = (
    Parameter(
        "remote_url",
        "",
        "HTTP services that find masks and poses instead of stages of this node, such as "
        "http://HOST:8000 (docs/fleet.md); empty: the stages of this node",
    ),
    Parameter(
        "remote_timeout_s",
        RemoteSettings.timeout_s,
        "longest wait for an answer of remote_url, seconds",
        limits=(0.01, 3600.0),
    ),
    Parameter(
        "remote_fallback",
        False,
        "load the stages too, and use them while remote_url does not answer",
    ),
    Parameter("remote_token_file", "", "file with the token of remote_url; empty for none"),
)


def engine_of(node: Node, spec: EngineSpec, build: EngineBuilder) -> Engine:
    """Build the engine of a node: with stages of its own, or those of ``remote_url``.

    Returns:
        The engine.

    Raises:
        Sam6dError: see ``build_engine`` and ``RemoteEngine``.
    """
    # nodes without stages of their own have no such parameter
    url = node.get_parameter("remote_url").value if node.has_parameter("remote_url") else ""
    if not url:
        return build(spec)
    settings = RemoteSettings(
        url,
        node.get_parameter("remote_timeout_s").value,
        _token(node.get_parameter("remote_token_file").value),
        node.get_parameter("remote_fallback").value,
    )
    local = build(spec if settings.fallback else replace(spec, role="objects"))
    return RemoteEngine(local, settings, spec.role)


def _token(file: str) -> str:
    """Return the token in a file; empty without a file.

    Raises:
        InvalidConfig: it cannot be read.
    """
    try:
        return Path(file).expanduser().read_text().strip() if file else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfig(f"remote_token_file {file} cannot be read: {error}") from error


def config_of(node: Node) -> PipelineConfig:
    """Return the pipeline's settings from a node's parameters.

    Raises:
        InvalidConfig: a value is out of range.
    """
    value = {row.name: node.get_parameter(row.name).value for row in STAGE_PARAMETERS}
    return PipelineConfig(
        backend=value["backend"],
        backend_options=value["backend_options"],
        device=value["device"],
        weights_dir=Path(value["weights_dir"] or default_cache_dir() / "weights").expanduser(),
        max_instances=value["max_instances"],
        budget_s=value["budget_s"] or None,
    )


def spec_of(node: Node, role: str, config: PipelineConfig, objects_file: str) -> EngineSpec:
    """Return everything that a node's engine is built from.

    Args:
        node: has the parameters.
        role: of the engine.
        config: settings of the stages.
        objects_file: value of the parameter.

    Raises:
        InvalidConfig: there is no objects file.
    """
    return EngineSpec(
        config,
        cache_dir_of(node),
        role,
        objects_file=objects_file_from(objects_file),
        resolve_package=share_folder,
    )


def objects_file_from(value: str) -> Path:
    """Return the objects file that a value of the parameter names.

    Raises:
        InvalidConfig: it is not set.
    """
    if not value:
        raise InvalidConfig(
            "parameter objects_file is not set; give the YAML file that names the CAD models, "
            "for example -p objects_file:=/path/to/objects.yaml (docs/objects.md)"
        )
    return Path(value).expanduser()


def cache_dir_of(node: Node) -> Path:
    """The folder of the cache from a node's parameters."""
    path = node.get_parameter("cache_dir").value
    return Path(path).expanduser() if path else default_cache_dir()


def share_folder(package: str) -> Path:
    """Return the share folder of a ROS package, for ``package://`` addresses."""
    return Path(get_package_share_directory(package))
