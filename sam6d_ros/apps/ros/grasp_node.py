"""``grasp_node``: 3D detections → grasps in the camera's, the objects' and the base frame."""

from __future__ import annotations

from sam6d_ros.apps.interrupts import end_process
from sam6d_ros.apps.ros.node.missing_ros import exit_without_ros

if __name__ == "__main__":
    exit_without_ros("grasp_node")  # before the imports that need ROS 2

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from geometry_msgs.msg import PoseArray
from numpy.typing import NDArray
from std_msgs.msg import Header
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from sam6d_ros.apps.ros.conversions import grasps as grasp_conversions
from sam6d_ros.apps.ros.conversions.grasps import PlacedGrasp
from sam6d_ros.apps.ros.grasps import node as detections_node
from sam6d_ros.apps.ros.grasps import planning as grasp_planning
from sam6d_ros.apps.ros.grasps.node import DetectionsNode
from sam6d_ros.apps.ros.node import spin, topics
from sam6d_ros.apps.ros.node.parameters import Parameter
from sam6d_ros.apps.ros.node.qos import RESULTS
from sam6d_ros.apps.ros.node.spec import EngineBuilder
from sam6d_ros.apps.ros.objects.known_poses import known_poses
from sam6d_ros.apps.ros.outputs.classes import ClassPoses
from sam6d_ros.errors import InvalidConfig
from sam6d_ros.grasps.approach import ANY_ANGLE, AXES, FROM_ABOVE, approaches_along
from sam6d_ros.grasps.types import GraspSet
from sam6d_ros.msg import GraspArray
from sam6d_ros.pipeline import RunContext
from sam6d_ros.runtime.build import build_engine
from sam6d_ros.types import PoseEstimate

Array = NDArray[np.float64]

PARAMETERS = (
    *detections_node.PARAMETERS,
    Parameter("max_grasps", 10, "most grasps per object", read_only=False, limits=(1, 1000)),
    Parameter(
        "approach_direction",
        "-z",
        "axis of base_frame along which grippers shall approach",
        read_only=False,
        choices=tuple(AXES),
    ),
    Parameter(
        "max_approach_angle",
        FROM_ABOVE,
        "largest angle between a grasp's approach and approach_direction, radians; the default "
        "counts only if base_frame is set",
        read_only=False,
        limits=(0.0, ANY_ANGLE),
    ),
    Parameter("tf_prefix", "", "as the pose node's", read_only=False),
)


class GraspNode(DetectionsNode):
    """Node that places the grasps of each object at its detections."""

    def __init__(
        self,
        build_engine: EngineBuilder = build_engine,
        cli_args: Sequence[str] | None = None,
    ) -> None:
        super().__init__("grasp_node", PARAMETERS, build_engine, cli_args)
        create = self.create_lifecycle_publisher
        self._grasps = create(GraspArray, topics.GRASPS, RESULTS)
        self._poses = create(PoseArray, topics.GRASP_POSES, RESULTS)
        self._base_grasps = create(GraspArray, topics.BASE_GRASPS, RESULTS)
        self._base_poses = create(PoseArray, topics.BASE_GRASP_POSES, RESULTS)
        self._markers = create(MarkerArray, topics.MARKERS, RESULTS)
        self._planned: Mapping[str, GraspSet] = {}
        self._in_object = ClassPoses(self, topics.GRASPS)

    def objects_changed(self) -> None:
        """Plan the grasps of every object; those of unchanged ones come from the cache."""
        self._check_filter()
        self._planned = grasp_planning.plan(self, self.objects)
        self._in_object.update(self._planned)

    def released(self) -> None:
        """Drop the grasps."""
        self._planned = {}
        self._in_object.update(())

    def process(self, message: Detection3DArray, ctx: RunContext) -> str:
        """Place the grasps at the detections of one image and publish them with its stamp."""
        poses, unknown = known_poses(message, self._planned, self.status)
        base_from_cam = self._base.from_camera(message.header)
        wanted = self._filter(base_from_cam)
        with ctx.timings.measure("place"):
            most = self.get_parameter("max_grasps").value
            placed = grasp_conversions.place_grasps(poses, self._planned, most, wanted)
        with self.publishing(ctx):
            self._publish(placed, message.header, base_from_cam)
            self.published(message.header)
        if placed:
            return ""
        return self._why_none(poses, base_from_cam) or unknown or "no object was detected"

    def _publish(
        self, placed: list[PlacedGrasp], header: Header, base_from_cam: Array | None
    ) -> None:
        """In the camera's frame, in the objects', in that of the base, and for viewers."""
        in_camera = grasp_conversions.grasp_array(placed, header)
        self._grasps.publish(in_camera)
        self._poses.publish(grasp_conversions.poses_of(in_camera))
        prefix = self.get_parameter("tf_prefix").value
        for name, poses in grasp_conversions.object_frame_poses(placed, header, prefix):
            self._in_object.publish_one(name, poses)
        if base_from_cam is not None:
            base_header = Header(stamp=header.stamp, frame_id=self._base.name)
            in_base = grasp_conversions.grasp_array(placed, base_header, base_from_cam)
            self._base_grasps.publish(in_base)
            self._base_poses.publish(grasp_conversions.poses_of(in_base))
        if self._markers.get_subscription_count():
            self._markers.publish(grasp_conversions.grasp_markers(placed, header))

    def _check_filter(self) -> None:
        angle = self.get_parameter("max_approach_angle").value
        if self.get_parameter("base_frame").value or angle >= ANY_ANGLE:
            return
        if angle == FROM_ABOVE:
            self.get_logger().info(
                "base_frame is not set: grasps from all sides, also from below a table"
            )
        else:
            raise InvalidConfig(
                "parameter max_approach_angle is set, but base_frame is not; name the TF frame in "
                "which approach_direction is meant"
            )

    @property
    def _filters(self) -> bool:
        """Whether grasps are judged by their approach."""
        angle = self.get_parameter("max_approach_angle").value
        return bool(self._base.name and angle < ANY_ANGLE)

    def _filter(self, base_from_cam: Array | None) -> Callable[[Array], bool]:
        """Whether a grasp approaches as it shall; nothing passes when that cannot be known."""
        if not self._filters:
            return lambda cam_from_grip: True
        if base_from_cam is None:
            return lambda cam_from_grip: False
        axis = self.get_parameter("approach_direction").value
        max_angle = self.get_parameter("max_approach_angle").value
        return approaches_along(axis, max_angle, base_from_cam)

    def _why_none(self, poses: Sequence[PoseEstimate], base_from_cam: Array | None) -> str:
        """Return the reasons why detected objects have no grasp, each once."""
        reasons = []
        for name in dict.fromkeys(pose.class_id for pose in poses):
            found = self._planned[name]
            if not found.grasps:
                reasons.append(f"{name}: {found.reason}")
            elif base_from_cam is None:
                reasons.append(f"{name}: max_approach_angle is set, but base_frame is not known")
            else:
                reasons.append(f"{name}: no grasp approaches within max_approach_angle")
        return "; ".join(reasons)


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of the executable."""
    return spin.run([GraspNode], args)


if __name__ == "__main__":
    end_process(main())
