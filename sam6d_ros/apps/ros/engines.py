"""Parameters of a node that its engine is built from, and the spec that they make."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from rclpy.node import Node

from sam6d_ros.apps.environment import default_cache_dir
from sam6d_ros.apps.ros.parameters import Parameter
from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import InvalidConfig
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
        limits=(1, 100),
    ),
)


def config_of(node: Node) -> PipelineConfig:
    """The pipeline's settings from a node's parameters.

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
    )


def spec_of(node: Node, role: str, config: PipelineConfig, objects_file: str) -> EngineSpec:
    """Everything that a node's engine is built from.

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
    """The objects file that a value of the parameter names.

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
    """Where ``package://`` addresses of a ROS package lead."""
    return Path(get_package_share_directory(package))
