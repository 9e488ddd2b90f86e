"""What the launch files of the cameras share. Needs `launch`, which a ROS distribution brings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
)
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare


def camera_launch(
    pipeline: Path,
    defaults: Mapping[str, str],
    driver: tuple[str, str],
    driver_arguments: Callable[[list[str]], Mapping[str, str]],
) -> LaunchDescription:
    """The pipeline on a camera's topics and, with ``driver:=true``, the camera's driver.

    Args:
        pipeline: our launch file, which is included.
        defaults: launch arguments and their defaults: the camera's topics.
        driver: package and launch file of the driver; the file may contain "$camera_model".
        driver_arguments: from the parts of ``camera_ns`` to the arguments of the driver's file.
    """

    def start_driver(context: LaunchContext) -> list[GroupAction]:
        names = LaunchConfiguration("camera_ns").perform(context).strip("/").split("/")
        package, file = driver
        file = file.replace("$camera_model", context.launch_configurations.get("camera_model", ""))
        path = PathJoinSubstitution([FindPackageShare(package), "launch", file])
        arguments = driver_arguments(names).items()
        include = IncludeLaunchDescription(
            PythonLaunchDescriptionSource(path), launch_arguments=arguments
        )
        return [GroupAction([include])]  # a scope, so that its arguments do not become ours

    asked = DeclareLaunchArgument(
        "driver", default_value="false", description=f"also start the driver, {driver[0]}"
    )
    return LaunchDescription(
        [
            *(DeclareLaunchArgument(name, default_value=text) for name, text in defaults.items()),
            asked,
            # First, because it sets the Fast DDS profile, which the driver needs too.
            IncludeLaunchDescription(PythonLaunchDescriptionSource(str(pipeline))),
            OpaqueFunction(
                function=start_driver, condition=IfCondition(LaunchConfiguration(asked.name))
            ),
        ]
    )
