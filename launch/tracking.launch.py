"""The pipeline and the tracking node, which follows what was found at camera rate.

    ros2 launch sam6d_ros tracking.launch.py objects_file:=/path/to/objects.yaml camera_ns:=/camera

Takes the arguments of pipeline.launch.py. The search for new objects is limited to `max_rate_hz`,
so that it leaves the processor to the tracking.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

PIPELINE = Path(__file__).with_name("pipeline.launch.py")


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` runs."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "max_rate_hz",
                default_value="1.0",
                description="most frames per second that are searched",
            ),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(PIPELINE)),
                launch_arguments={"tracking": "true"}.items(),
            ),
        ]
    )
