"""The pipeline on an Intel RealSense camera.

    ros2 launch sam6d_ros realsense.launch.py objects_file:=/path/to/objects.yaml driver:=true

Takes the arguments of pipeline.launch.py (`tracking:=true` follows the objects), and with
`driver:=true`, which starts realsense2_camera as well, those of its rs_launch.py, for example
`serial_no:=_123456` or `rgb_camera.color_profile:=640x480x30`. A driver that runs already must
have been started with `align_depth.enable:=true enable_sync:=true`.

Names after README.md and rs_launch.py of IntelRealSense/realsense-ros 4.55.1 (ros2-master):
/<camera_namespace>/<camera_name>/<stream>, frames <camera_name>_<stream>_optical_frame.
"""

from pathlib import Path

from launch import LaunchDescription

from sam6d_ros.apps.ros.camera.launch import camera_launch

DEFAULTS = {
    "camera_ns": "/camera/camera",
    "rgb_topic": "color/image_raw",
    "depth_topic": "aligned_depth_to_color/image_raw",
    "info_topic": "color/camera_info",
    "fixed_frame": "camera_color_optical_frame",
}


def driver_arguments(names: list[str]) -> dict[str, str]:
    """What rs_launch.py is given."""
    return {
        "camera_namespace": "/".join(names[:-1]),
        "camera_name": names[-1],
        "align_depth.enable": "true",  # makes aligned_depth_to_color; off by default
        "enable_sync": "true",  # one stamp for colour and depth; off by default
    }


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` runs."""
    return camera_launch(
        Path(__file__).with_name("pipeline.launch.py"),
        DEFAULTS,
        ("realsense2_camera", "rs_launch.py"),
        driver_arguments,
    )
