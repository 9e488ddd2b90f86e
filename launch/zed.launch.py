"""The pipeline on a Stereolabs ZED camera, with zed-ros2-wrapper 5.1 or newer.

    ros2 launch sam6d_ros zed.launch.py objects_file:=objects.yaml driver:=true camera_model:=zed2i

Takes the arguments of pipeline.launch.py (`tracking:=true` follows the objects), and with
`driver:=true`, which starts zed_wrapper as well, those of its zed_camera.launch.py. An older
wrapper: `rgb_topic:=rgb/image_rect_color info_topic:=rgb/camera_info`.

Names after CHANGELOG.rst (v5.1.0) and zed_camera_component_video_depth.cpp of
stereolabs/zed-ros2-wrapper v5.4.1: /<camera_name>/<node_name>/…. Depth is always registered to the
left image, which rgb/ is: 32FC1 metres unless `depth.openni_depth_mode` is set.
"""

from pathlib import Path

from launch import LaunchDescription

from sam6d_ros.apps.ros.camera.launch import camera_launch

DEFAULTS = {
    "camera_ns": "/zed/zed_node",
    "rgb_topic": "rgb/color/rect/image",
    "depth_topic": "depth/depth_registered",
    "info_topic": "rgb/color/rect/camera_info",
    "fixed_frame": "zed_left_camera_frame_optical",
    "camera_model": "zed2i",
}


def driver_arguments(names: list[str]) -> dict[str, str]:
    """What zed_camera.launch.py is given."""
    return {
        "camera_name": "/".join(names[:-1]),
        "node_name": names[-1],
        "namespace": "",  # an argument of ours too; empty: the wrapper takes the camera's name
    }


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` runs."""
    return camera_launch(
        Path(__file__).with_name("pipeline.launch.py"),
        DEFAULTS,
        ("zed_wrapper", "zed_camera.launch.py"),
        driver_arguments,
    )
