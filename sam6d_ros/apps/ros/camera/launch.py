"""Common parts of the launch files of cameras. Needs `launch` of a ROS distribution."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
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
    """Return the pipeline on a camera's topics and, with ``driver:=true``, the camera's driver.

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

    def check_driver(context: LaunchContext) -> None:
        """Refuse to start anything if the driver is wanted and not installed."""
        package, _ = driver
        try:
            get_package_prefix(package)
        except PackageNotFoundError as error:
            raise RuntimeError(
                f"driver:=true needs the package {package}, which is not installed: install it, "
                "or start the driver elsewhere and leave driver:=true away"
            ) from error

    asked = DeclareLaunchArgument(
        "driver", default_value="false", description=f"also start the driver, {driver[0]}"
    )
    return LaunchDescription(
        [
            *(DeclareLaunchArgument(name, default_value=text) for name, text in defaults.items()),
            asked,
            OpaqueFunction(
                function=check_driver, condition=IfCondition(LaunchConfiguration(asked.name))
            ),
            # First, because it sets the Fast DDS profile, which the driver needs too.
            IncludeLaunchDescription(PythonLaunchDescriptionSource(str(pipeline))),
            OpaqueFunction(
                function=start_driver, condition=IfCondition(LaunchConfiguration(asked.name))
            ),
        ]
    )
