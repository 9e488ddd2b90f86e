"""``planning_scene_node``: 3D detections → collision objects of MoveIt, with grasps as subframes.

Needs ``moveit_msgs``, which no other part of the package does; ``planning_scene`` has the node.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from sam6d_ros.apps.ros import detections_node, spin
from sam6d_ros.apps.ros.parameters import Parameter

PARAMETERS = (
    *detections_node.PARAMETERS,
    Parameter("forget_s", 2.0, "an object not seen for so long is removed", limits=(0.0, 3600.0)),
    Parameter("max_faces", 1000, "about the most faces of a mesh", limits=(4, 100_000)),
    Parameter("subframes", 10, "most grasps that an object carries as subframes", limits=(0, 1000)),
)


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of the executable; without MoveIt's messages it says how to get them."""
    try:
        from sam6d_ros.apps.ros.planning_scene import PlanningSceneNode
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
    raise SystemExit(main())
