"""Segmentation and pose estimation on a camera's topics, as two processes.

    ros2 launch sam6d_ros pipeline.launch.py objects_file:=/path/to/objects.yaml camera_ns:=/camera

`--show-args` lists the arguments. An argument left empty keeps the value of the parameter file.
`tracking:=true` adds the tracking node, `one_process:=true` puts the first two into one process,
`grasps:=true` and `planning_scene:=true` add what comes after the poses. `detector:=…` searches in
the boxes of a 2D detector, `detector_node:=true` runs it as a node of its own.
"""

import os
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

CONFIG = Path(__file__).resolve().parent.parent / "config"
RESPAWN_DELAY_S = 2.0
PROFILE = "FASTDDS_DEFAULT_PROFILES_FILE"
# The nodes end with this process: `launch` leaves them alone when a launch file raises an error.
PARENT = "SAM6D_ROS_PARENT"
FOLLOW_NAMESPACE = "auto"
MASKS = ("~/masks", "segmentation_node/masks")
OBJECTS = ("~/follow_objects", "segmentation_node/objects")
ESTIMATES = ("~/estimates", "pose_node/detections")

ARGUMENTS = {
    "namespace": ("", "namespace of the nodes and their topics"),
    "camera_ns": ("/camera", "namespace of the camera driver"),
    "rgb_topic": ("color/image_raw", "colour image, within camera_ns unless absolute"),
    "depth_topic": (
        "aligned_depth_to_color/image_raw",
        "depth image registered to colour, within camera_ns unless absolute",
    ),
    "info_topic": ("color/camera_info", "intrinsics of colour, within camera_ns unless absolute"),
    "rgb_transport": ("", "raw or compressed"),
    "depth_transport": ("", "raw, compressedDepth or compressed (PNG of 16 bits)"),
    "params_file": (str(CONFIG / "pipeline.yaml"), "YAML file with the nodes' parameters"),
    "objects_file": ("", "YAML file that names the CAD models"),
    "backend": ("", "auto, sam6d, geometric or an installed one (docs/backends.md)"),
    "device": ("", "auto, cpu or cuda[:N]"),
    "max_rate_hz": ("", "most frames per second that are searched"),
    "detector": ("", "2D detector: objects are searched in its boxes only (docs/detectors.md)"),
    "detector_threshold": ("", "lowest score of its boxes, 0 to 1"),
    "detector_node": ("false", "run the detector as a node of its own, which publishes its boxes"),
    "boxes_topic": ("", "topic of another detector's boxes (vision_msgs/Detection2DArray)"),
    "tf_prefix": (
        FOLLOW_NAMESPACE,
        "put before the TF frames of the objects; auto: the namespace and a slash, or nothing",
    ),
    "tracking": ("false", "also follow the objects from frame to frame"),
    "grasps": ("false", "also plan grasps of the objects"),
    "grasp_file": ("", "YAML file with the grasps of the objects"),
    "planning_scene": ("false", "send the objects to MoveIt; needs moveit_msgs"),
    "base_frame": ("", "robot frame that poses, grasps and the planning scene are also given in"),
    "max_approach_angle": ("", "largest angle of a grasp's approach to the vertical, radians"),
    "one_process": ("false", "segmentation and poses in one process, for a small computer"),
    "autostart": ("true", "false leaves the nodes unconfigured, for a lifecycle manager"),
    "supervisor": ("true", "bring a node back to its state after its death or an error"),
    "respawn": ("true", "start a node again that has died, after 2 s"),
    "use_sim_time": ("false", "take the time from /clock (simulation, bags)"),
    "log_level": ("info", "debug, info, warn, error or fatal"),
    "rviz": ("false", "also start RViz"),
    "fixed_frame": ("camera_color_optical_frame", "RViz's fixed frame"),
}


def switched_on(context: LaunchContext, argument: str) -> bool:
    """Whether a true-or-false argument is true."""
    return IfCondition(LaunchConfiguration(argument)).evaluate(context)


def shown_node(context: LaunchContext) -> str:
    """The node whose poses are the last word."""
    return "tracking_node" if switched_on(context, "tracking") else "pose_node"


def parameters(context: LaunchContext, value: dict[str, str]) -> dict[str, object]:
    """The parameters that launch arguments set, over those of the parameter file."""
    texts = ("objects_file", "backend", "device", "base_frame")
    given = {name: value[name] for name in texts if value[name]}
    for image in ("rgb", "depth"):
        if transport := value[f"{image}_transport"]:
            given[f"{image}.image_transport"] = transport
    if value["max_rate_hz"]:
        given["max_rate_hz"] = float(value["max_rate_hz"])
    given["end_when_stuck"] = switched_on(context, "respawn")
    if value["tf_prefix"] != FOLLOW_NAMESPACE:
        given["tf_prefix"] = value["tf_prefix"]
    return {**given, **{n: switched_on(context, n) for n in ("use_sim_time", "autostart")}}


def followed_namespace(namespace: str) -> dict[str, object]:
    """The TF prefix of nodes in a namespace; that of the parameter file or an argument wins."""
    name = namespace.strip("/")
    return {"tf_prefix": f"{name}/"} if name else {}


def detection(
    context: LaunchContext, value: dict[str, str]
) -> tuple[dict[str, object], list[tuple[str, str]], dict[str, object]]:
    """Parameters and remappings of the node that searches; parameters of the detector node."""
    given: dict[str, object] = {"detector": value["detector"]} if value["detector"] else {}
    if value["detector_threshold"]:
        given["detector_threshold"] = float(value["detector_threshold"])
    own_node = switched_on(context, "detector_node")
    topic = value["boxes_topic"] or ("detector_node/detections" if own_node else "")
    if not topic:
        return given, [], {}
    return {"box_input": "boxes"}, [("~/boxes", topic)], given


def camera_remappings(value: dict[str, str]) -> list[tuple[str, str]]:
    """From the nodes' inputs to the camera's topics."""

    def topic(argument: str) -> str:
        name = value[argument]
        return name if name.startswith("/") else f"{value['camera_ns'].rstrip('/')}/{name}"

    return [
        ("~/rgb", topic("rgb_topic")),
        ("~/depth", topic("depth_topic")),
        ("~/camera_info", topic("info_topic")),
    ]


def nodes(context: LaunchContext) -> list[Node]:
    """The processes, with the launch arguments filled in."""
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    tracking = switched_on(context, "tracking")
    # Where the tracking node follows the objects, their frames are its to publish.
    no_tf = {"publish_tf": False} if tracking else {}
    boxes, boxes_remapping, detector = detection(context, value)
    if switched_on(context, "one_process"):  # it connects its two nodes itself
        started = [("pipeline", boxes_remapping, {**no_tf, **boxes})]
    else:
        started = [
            ("segmentation_node", boxes_remapping, boxes),
            ("pose_node", [MASKS, OBJECTS], no_tf),
        ]
    if switched_on(context, "detector_node"):
        started.append(("detector_node", [], detector))
    if tracking:
        started.append(("tracking_node", [ESTIMATES, OBJECTS], {}))
    if switched_on(context, "supervisor"):
        started.append(("supervisor_node", [], {}))
    shown = ("~/detections", f"{shown_node(context)}/detections")
    own = {"grasp_file": value["grasp_file"]} if value["grasp_file"] else {}
    if value["max_approach_angle"]:
        own["max_approach_angle"] = float(value["max_approach_angle"])
    for argument, name in (("grasps", "grasp_node"), ("planning_scene", "planning_scene_node")):
        if switched_on(context, argument):
            started.append((name, [shown, OBJECTS], own))
    return [
        Node(
            package="sam6d_ros",
            executable=name,
            name=None if name == "pipeline" else name,
            namespace=value["namespace"],
            parameters=[
                followed_namespace(value["namespace"]),
                value["params_file"],
                parameters(context, value) | own_parameters,
            ],
            remappings=camera_remappings(value) + own_remappings,
            arguments=["--ros-args", "--log-level", value["log_level"]],
            output="screen",
            respawn=switched_on(context, "respawn"),
            respawn_delay=RESPAWN_DELAY_S,
        )
        for name, own_remappings, own_parameters in started
    ]


def check_rviz(context: LaunchContext) -> None:
    """Refuse to start anything if RViz is wanted and not installed.

    Raises:
        RuntimeError: it is not.
    """
    try:
        get_package_prefix("rviz2")
    except PackageNotFoundError as error:
        raise RuntimeError(
            "rviz:=true needs the package rviz2, which is not installed: sudo apt install "
            "ros-$ROS_DISTRO-rviz2, or leave rviz:=true away"
        ) from error


def rviz(context: LaunchContext) -> list[Node]:
    """RViz with our displays, on the topics of the node that shows the poses."""
    fixed_frame, shown = LaunchConfiguration("fixed_frame"), shown_node(context)
    return [
        Node(
            package="rviz2",
            executable="rviz2",
            namespace=LaunchConfiguration("namespace"),
            arguments=["-d", str(CONFIG / "pipeline.rviz"), "-f", fixed_frame],
            remappings=[
                (f"/pose_node/{topic}", f"{shown}/{topic}") for topic in ("markers", "overlay")
            ],
        )
    ]


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
            OpaqueFunction(function=check_rviz, condition=IfCondition(LaunchConfiguration("rviz"))),
            SetEnvironmentVariable(PARENT, str(os.getpid())),
            *(SetEnvironmentVariable(PROFILE, path) for path in profile),
            OpaqueFunction(function=nodes),
            OpaqueFunction(function=rviz, condition=IfCondition(LaunchConfiguration("rviz"))),
        ]
    )
