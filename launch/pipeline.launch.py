"""Segmentation and pose estimation on a camera's topics, as two processes.

    ros2 launch sam6d_ros pipeline.launch.py objects_file:=/path/to/objects.yaml camera_ns:=/camera

`--show-args` lists the arguments. An argument left empty keeps what the parameter file says.
"""

import os
from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

CONFIG = Path(__file__).resolve().parent.parent / "config"
PROFILE = "FASTDDS_DEFAULT_PROFILES_FILE"

ARGUMENTS = {
    "namespace": ("", "namespace of the nodes and their topics"),
    "camera_ns": ("/camera", "namespace of the camera driver"),
    "rgb_topic": ("color/image_raw", "colour image, within camera_ns unless absolute"),
    "depth_topic": (
        "aligned_depth_to_color/image_raw",
        "depth image registered to colour, within camera_ns unless absolute",
    ),
    "info_topic": ("color/camera_info", "intrinsics of colour, within camera_ns unless absolute"),
    "params_file": (str(CONFIG / "pipeline.yaml"), "YAML file with the nodes' parameters"),
    "objects_file": ("", "YAML file that names the CAD models"),
    "backend": ("", "auto, sam6d or geometric"),
    "device": ("", "auto, cpu or cuda[:N]"),
    "use_sim_time": ("false", "take the time from /clock (simulation, bags)"),
    "log_level": ("info", "debug, info, warn, error or fatal"),
    "rviz": ("false", "also start RViz"),
    "fixed_frame": ("camera_color_optical_frame", "RViz's fixed frame"),
}


def nodes(context: LaunchContext) -> list[Node]:
    """The two nodes, with the launch arguments filled in."""
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    given = {name: value[name] for name in ("objects_file", "backend", "device") if value[name]}
    given["use_sim_time"] = value["use_sim_time"].lower() == "true"

    def camera_topic(argument: str) -> str:
        topic = value[argument]
        return topic if topic.startswith("/") else f"{value['camera_ns'].rstrip('/')}/{topic}"

    remappings = [
        ("~/rgb", camera_topic("rgb_topic")),
        ("~/depth", camera_topic("depth_topic")),
        ("~/camera_info", camera_topic("info_topic")),
    ]
    masks = [("~/masks", "segmentation_node/masks")]
    return [
        Node(
            package="sam6d_ros",
            executable=name,
            name=name,
            namespace=value["namespace"],
            parameters=[value["params_file"], given],
            remappings=remappings + own,
            arguments=["--ros-args", "--log-level", value["log_level"]],
            output="screen",
        )
        for name, own in (("segmentation_node", []), ("pose_node", masks))
    ]


def rviz() -> Node:
    """RViz with our displays, whose topics follow the namespace."""
    return Node(
        package="rviz2",
        executable="rviz2",
        namespace=LaunchConfiguration("namespace"),
        arguments=["-d", str(CONFIG / "pipeline.rviz"), "-f", LaunchConfiguration("fixed_frame")],
        remappings=[
            (f"/pose_node/{topic}", f"pose_node/{topic}") for topic in ("markers", "overlay")
        ],
        condition=IfCondition(LaunchConfiguration("rviz")),
    )


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` runs."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    # Large images get lost on Fast DDS's default transports; a profile of the user's own stays.
    profile = [] if os.environ.get(PROFILE) else [str(CONFIG / "fastdds.xml")]
    return LaunchDescription(
        [
            *declared,
            *(SetEnvironmentVariable(PROFILE, path) for path in profile),
            OpaqueFunction(function=nodes),
            rviz(),
        ]
    )
