"""``planning_scene_node``: 3D detections → collision objects of MoveIt, with grasps as subframes.

Needs ``moveit_msgs``, which no other part of the package does.
``planning_scene.node`` has the node.
"""

from __future__ import annotations

from sam6d_ros.apps.interrupts import end_process
from sam6d_ros.apps.ros.node.missing_ros import exit_without_ros

if __name__ == "__main__":
    exit_without_ros("planning_scene_node")  # before the imports that need ROS 2

import os
import sys
from collections.abc import Sequence

from sam6d_ros.apps.ros.node import spin


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of the executable; without MoveIt's messages it names their package."""
    try:
        from sam6d_ros.apps.ros.planning_scene.node import PlanningSceneNode
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "moveit_msgs":
            raise
        package = f"ros-{os.environ.get('ROS_DISTRO', 'DISTRO')}-moveit-msgs"
        print(
            "planning_scene_node needs moveit_msgs, which is not installed: "
            f"sudo apt install {package}",
            file=sys.stderr,
        )
        return 1
    return spin.run([PlanningSceneNode], args)


if __name__ == "__main__":
    end_process(main())
