"""The grasps of a node's objects: from the grasp file, else sampled; by the node's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rclpy.node import Node

from sam6d_ros.apps.ros import engines
from sam6d_ros.apps.ros.parameters import Parameter
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.grasps.grasp_file import read_grasp_file, stated_grasps
from sam6d_ros.grasps.gripper import Gripper, SamplingConfig
from sam6d_ros.grasps.plan import sample_grasps
from sam6d_ros.grasps.types import GraspSet

GRIPPER, SAMPLING = "gripper.", "sampling."
LENGTH_LIMITS = (0.0005, 1.0)
# field of Gripper → description; all are lengths in metres
GRIPPER_LENGTHS = {
    "max_width": "largest opening between the pads, metres",
    "clearance": "free space between each pad and the object on the way in, metres",
    "finger_length": "from the palm to the contact, metres",
    "finger_tip": "how far the fingers reach beyond the contact, metres",
    "finger_width": "of a finger and its pad, across closing and approach, metres",
    "finger_thickness": "of a finger along the closing direction, metres",
    "palm_width": "of the body behind the fingers, across closing and approach, metres",
    "palm_height": "of that body along the approach, metres",
}

PARAMETERS = (
    Parameter(
        "grasp_file",
        "",
        "YAML file of stated grasps (docs/grasps.md); other objects get sampled ones",
    ),
    *(
        Parameter(GRIPPER + name, getattr(Gripper, name), text, limits=LENGTH_LIMITS)
        for name, text in GRIPPER_LENGTHS.items()
    ),
    Parameter(
        GRIPPER + "friction",
        Gripper.friction,
        "coefficient between pad and object",
        limits=(0.01, 5.0),
    ),
    Parameter(
        SAMPLING + "samples",
        SamplingConfig.samples,
        "points on the surface at which a grasp is tried",
        limits=(1, 100_000),
    ),
    Parameter(
        SAMPLING + "directions",
        SamplingConfig.directions,
        "approach directions tried around each closing axis",
        limits=(1, 360),
    ),
    Parameter(
        SAMPLING + "count",
        SamplingConfig.count,
        "most sampled grasps kept per object",
        limits=(1, 1000),
    ),
    Parameter(
        SAMPLING + "pregrasp",
        SamplingConfig.pregrasp,
        "how far back along the approach the gripper starts, metres; that way must be free",
        limits=LENGTH_LIMITS,
    ),
    Parameter(
        SAMPLING + "seed",
        SamplingConfig.seed,
        "of the random numbers; the same seed gives the same grasps",
        limits=(0, 2**31 - 1),
    ),
)


def _values(node: Node, prefix: str) -> dict[str, float]:
    names = [row.name for row in PARAMETERS if row.name.startswith(prefix)]
    return {name.removeprefix(prefix): node.get_parameter(name).value for name in names}


def plan(node: Node, models: Mapping[str, ObjectModel]) -> dict[str, GraspSet]:
    """The grasps of each object.

    Raises:
        InvalidGrasps: the grasp file is unusable.
        InvalidConfig: the gripper cannot be.
    """
    gripper = Gripper(**_values(node, GRIPPER))
    sampling = SamplingConfig(**_values(node, SAMPLING))
    path = node.get_parameter("grasp_file").value
    file = read_grasp_file(Path(path).expanduser(), gripper.max_width) if path else {}
    for name in set(file) - set(models):
        node.get_logger().warning(
            f"{path} states grasps of {name!r}, which is not among the objects {list(models)}"
        )
    cache_dir = engines.cache_dir_of(node)
    return {
        name: stated_grasps(file, model)
        if name in file
        else sample_grasps(model, gripper, sampling, cache_dir)
        for name, model in models.items()
    }
