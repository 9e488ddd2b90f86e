"""Parameters of ``planning_scene_node``, readable without MoveIt's messages."""

from __future__ import annotations

from sam6d_ros.apps.ros.grasps import node as detections_node
from sam6d_ros.apps.ros.node.parameters import Parameter

PARAMETERS = (
    *detections_node.PARAMETERS,
    Parameter("forget_s", 2.0, "an object not seen for so long is removed", limits=(0.0, 3600.0)),
    Parameter("max_faces", 1000, "about the most faces of a mesh", limits=(4, 100_000)),
    Parameter("subframes", 10, "most grasps that an object carries as subframes", limits=(0, 1000)),
)
