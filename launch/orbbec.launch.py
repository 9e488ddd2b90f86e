"""The pipeline on an Orbbec camera (OrbbecSDK_ROS2).

    ros2 launch sam6d_ros orbbec.launch.py objects_file:=/path/to/objects.yaml driver:=true

Takes the arguments of pipeline.launch.py (`tracking:=true` follows the objects), and with
`driver:=true`, which starts orbbec_camera as well, those of the driver's launch file for the
`camera_model` (gemini_330_series, gemini2, femto_bolt, astra2, …). A driver that runs already must
have been started with `depth_registration:=true`.

Names after gemini_330_series.launch.py, ob_camera_node.cpp and the guide "Aligning Depth to Color"
of orbbec/OrbbecSDK_ROS2 v2.6.3: /<camera_name>/<stream>, frames
<camera_name>_<stream>_optical_frame. Depth keeps its topic when it is registered.
"""

from pathlib import Path

from launch import LaunchDescription

from sam6d_ros.apps.ros.camera.launch import camera_launch

DEFAULTS = {
    "camera_ns": "/camera",
    "rgb_topic": "color/image_raw",
    "depth_topic": "depth/image_raw",
    "info_topic": "color/camera_info",
    "fixed_frame": "camera_color_optical_frame",
    "camera_model": "gemini_330_series",
}


def driver_arguments(names: list[str]) -> dict[str, str]:
    """What the driver's launch file is given."""
    return {
        "camera_name": "/".join(names),
        "depth_registration": "true",  # off by default in most of the driver's files
        "enable_frame_sync": "true",
    }


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` runs."""
    return camera_launch(
        Path(__file__).with_name("pipeline.launch.py"),
        DEFAULTS,
        ("orbbec_camera", "$camera_model.launch.py"),
        driver_arguments,
    )
