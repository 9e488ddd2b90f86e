"""The grasps of a node's objects: from the grasp file, else sampled; by the node's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rclpy.node import Node

from sam6d_ros.apps.ros.node import spec
from sam6d_ros.apps.ros.node.parameters import Parameter, group, values_of
from sam6d_ros.cad.model import ObjectModel
from sam6d_ros.grasps.grasp_file import read_grasp_file, stated_grasps
from sam6d_ros.grasps.gripper import Gripper, SamplingConfig
from sam6d_ros.grasps.plan import sample_grasps
from sam6d_ros.grasps.types import GraspSet

LENGTH_LIMITS = (0.0005, 1.0)
GRIPPER = {
    "max_width": ("largest opening between the pads, metres", LENGTH_LIMITS),
    "clearance": (
        "free space between each pad and the object on the way in, metres",
        LENGTH_LIMITS,
    ),
    "finger_length": ("from the palm to the contact, metres", LENGTH_LIMITS),
    "finger_tip": ("how far the fingers reach beyond the contact, metres", LENGTH_LIMITS),
    "finger_width": (
        "of a finger and its pad, across closing and approach, metres",
        LENGTH_LIMITS,
    ),
    "finger_thickness": ("of a finger along the closing direction, metres", LENGTH_LIMITS),
    "palm_width": (
        "of the body behind the fingers, across closing and approach, metres",
        LENGTH_LIMITS,
    ),
    "palm_height": ("of that body along the approach, metres", LENGTH_LIMITS),
    "friction": ("coefficient between pad and object", (0.01, 5.0)),
}
SAMPLING = {
    "samples": ("points on the surface at which a grasp is tried", (1, 100_000)),
    "directions": ("approach directions tried around each closing axis", (1, 360)),
    "count": ("most sampled grasps kept per object", (1, 1000)),
    "pregrasp": (
        "how far back along the approach the gripper starts, metres; that way must be free",
        LENGTH_LIMITS,
    ),
    "seed": ("of the random numbers; the same seed gives the same grasps", (0, 2**31 - 1)),
}
PARAMETERS = (
    Parameter(
        "grasp_file",
        "",
        "YAML file of stated grasps (docs/grasps.md); other objects get sampled ones",
    ),
    *group("gripper", Gripper, GRIPPER),
    *group("sampling", SamplingConfig, SAMPLING),
)


def plan(node: Node, models: Mapping[str, ObjectModel]) -> dict[str, GraspSet]:
    """Return the grasps of each object.

    Raises:
        InvalidGrasps: the grasp file is unusable.
        InvalidConfig: the gripper cannot be.
    """
    gripper = Gripper(**values_of(node, "gripper"))
    sampling = SamplingConfig(**values_of(node, "sampling"))
    path = node.get_parameter("grasp_file").value
    file = read_grasp_file(Path(path).expanduser(), gripper.max_width) if path else {}
    for name in set(file) - set(models):
        node.get_logger().warning(
            f"{path} states grasps of {name!r}, which is not among the objects {list(models)}"
        )
    cache_dir = spec.cache_dir_of(node)
    return {
        name: stated_grasps(file, model)
        if name in file
        else sample_grasps(model, gripper, sampling, cache_dir)
        for name, model in models.items()
    }
