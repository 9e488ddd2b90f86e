"""Check that ROS 2 is installed, before a node module imports it.

Imports nothing of ROS, so that a node started without it ends with one sentence.
"""

from __future__ import annotations

import signal
import sys
from importlib.util import find_spec

NOT_POSSIBLE = 4  # exit code of `sam6d` for a machine that cannot do it
# What the nodes import; moveit_msgs is of planning_scene_node alone, which names it itself.
REQUIRED = (
    "rclpy",
    "ament_index_python",
    "builtin_interfaces",
    "cv_bridge",
    "diagnostic_msgs",
    "geometry_msgs",
    "lifecycle_msgs",
    "message_filters",
    "rcl_interfaces",
    "sensor_msgs",
    "shape_msgs",
    "std_msgs",
    "std_srvs",
    "tf2_msgs",
    "tf2_ros",
    "vision_msgs",
    "visualization_msgs",
)
OWN_MESSAGES = "sam6d_ros.msg"


def exit_without_ros(node: str) -> None:
    """End the process with one sentence on stderr if the node cannot run here.

    Until ``spin.run`` takes over, Ctrl-C ends the process by the signal: libraries swallow a
    KeyboardInterrupt while they are imported, or print its traceback.

    Raises:
        SystemExit: ROS 2, one of its packages or the messages of this package are missing (code
            4), or there is no home folder (code 1).
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from sam6d_ros.apps.compiled_loops import keep_compiled_loops
    from sam6d_ros.apps.interrupts import limit_the_end
    from sam6d_ros.errors import Sam6dError

    limit_the_end(0)
    try:
        keep_compiled_loops()  # numba raises while it is imported if it finds no folder
    except Sam6dError as error:
        print(f"{node}: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    if problem := missing(node):
        print(problem, file=sys.stderr)
        raise SystemExit(NOT_POSSIBLE)


def missing(node: str) -> str:
    """Return what a node misses and how to get it; empty if it can run."""
    absent = [name for name in REQUIRED if find_spec(name) is None]
    if "rclpy" in absent:
        return (
            f"{node} needs ROS 2, and rclpy is not installed in {sys.executable}: source your "
            "distribution (source /opt/ros/DISTRO/setup.bash), or run `make setup` in a clone of "
            "the repository"
        )
    if absent:
        packages = " ".join(f"ros-$ROS_DISTRO-{name.replace('_', '-')}" for name in absent)
        return (
            f"{node} needs the ROS 2 packages {', '.join(absent)}, which are not installed: sudo "
            f"apt install {packages}, or run `make setup` in a clone of the repository"
        )
    if find_spec(OWN_MESSAGES) is None:
        return (
            f"{node} needs the messages of sam6d_ros ({OWN_MESSAGES}), which are not built: run "
            "colcon build in your workspace and source install/setup.bash, or run `make setup` in "
            "a clone of the repository"
        )
    return ""
