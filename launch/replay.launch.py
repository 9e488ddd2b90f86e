"""The pipeline with a camera made of files: a BOP scene or a folder of frames.

    ros2 launch sam6d_ros replay.launch.py path:=DATASET/test/000001 objects_file:=objects.yaml

Takes the arguments of pipeline.launch.py as well (`tracking:=true` follows the objects).
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

PIPELINE = Path(__file__).with_name("pipeline.launch.py")


def camera(context: LaunchContext) -> list[Node]:
    """The replay node, which waits until the others are ready."""
    value = {
        name: LaunchConfiguration(name).perform(context)
        for name in ("namespace", "camera_ns", "path", "rate_hz", "frame_id", "log_level")
    }
    prefix = f"/{value['namespace'].strip('/')}".rstrip("/")
    listeners = ["segmentation_node", "pose_node"]
    if IfCondition(LaunchConfiguration("tracking")).evaluate(context):
        listeners.append("tracking_node")
    parameters = {
        "path": value["path"],
        "rate_hz": float(value["rate_hz"]),
        "frame_id": value["frame_id"],
        "wait_for": [f"{prefix}/{name}/ready" for name in listeners],
    }
    return [
        Node(
            package="sam6d_ros",
            executable="replay_node",
            name="replay_node",
            namespace=value["camera_ns"],
            parameters=[parameters],
            arguments=["--ros-args", "--log-level", value["log_level"]],
            output="screen",
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` runs."""
    return LaunchDescription(
        [
            DeclareLaunchArgument("path", description="folder with rgb/, depth/ and a camera file"),
            DeclareLaunchArgument("rate_hz", default_value="5.0", description="frames per second"),
            DeclareLaunchArgument(
                "frame_id",
                default_value="camera_color_optical_frame",
                description="frame_id of the images",
            ),
            IncludeLaunchDescription(PythonLaunchDescriptionSource(str(PIPELINE))),
            OpaqueFunction(function=camera),
        ]
    )
