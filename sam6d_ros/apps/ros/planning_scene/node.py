"""The node of ``planning_scene_node``, for where MoveIt's messages are installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from geometry_msgs.msg import Pose
from moveit_msgs.msg import CollisionObject
from rclpy.qos import QoSProfile
from shape_msgs.msg import Mesh
from std_msgs.msg import Header
from vision_msgs.msg import Detection3DArray

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.conversions.rigid import pose_message
from sam6d_ros.apps.ros.conversions.scene import collision_mesh, grasp_subframes
from sam6d_ros.apps.ros.grasps import planning as grasp_planning
from sam6d_ros.apps.ros.grasps.node import DetectionsNode
from sam6d_ros.apps.ros.node import topics
from sam6d_ros.apps.ros.node.spec import EngineBuilder
from sam6d_ros.apps.ros.objects.known_poses import known_poses
from sam6d_ros.apps.ros.planning_scene.objects import Change, SceneChange, SceneObjects
from sam6d_ros.apps.ros.planning_scene.parameters import PARAMETERS
from sam6d_ros.grasps.types import GraspSet
from sam6d_ros.pipeline import RunContext
from sam6d_ros.runtime.build import build_engine

OPERATIONS = {
    Change.ADD: CollisionObject.ADD,
    Change.MOVE: CollisionObject.MOVE,
    Change.REMOVE: CollisionObject.REMOVE,
}
NO_TRANSFORM = "the place of the camera in base_frame is not known"


class PlanningSceneNode(DetectionsNode):
    """Keeps MoveIt's scene up with the detections.

    Deactivated it leaves the scene as it is, so that an arm can grasp from it.
    """

    def __init__(
        self,
        build_engine: EngineBuilder = build_engine,
        cli_args: Sequence[str] | None = None,
    ) -> None:
        super().__init__("planning_scene_node", PARAMETERS, build_engine, cli_args)
        # Not a lifecycle publisher: on cleanup it removes the objects. Each message counts, and
        # one image makes one per object.
        self._changes = self.create_publisher(
            CollisionObject, topics.COLLISION_OBJECT, QoSProfile(depth=100)
        )
        self._listeners = 0
        self._scene = SceneObjects(self.get_parameter("forget_s").value)
        self._header = Header()
        self._meshes: dict[str, Mesh] = {}
        self._subframes: dict[str, tuple[list[str], list[Pose]]] = {}

    def objects_changed(self) -> None:
        """Make mesh and subframes of every object; objects in the scene are added anew."""
        models = self.objects
        most = self.get_parameter("subframes").value
        max_faces = self.get_parameter("max_faces").value
        planned: Mapping[str, GraspSet] = grasp_planning.plan(self, models) if most else {}
        self._meshes = {name: collision_mesh(model, max_faces) for name, model in models.items()}
        self._subframes = {
            name: grasp_subframes(found.grasps[:most]) for name, found in planned.items()
        }
        self._scene.add_again()

    def released(self) -> None:
        """Remove the objects from the scene and forget what was made of them."""
        self._send(self._scene.clear())
        self._meshes, self._subframes = {}, {}

    def process(self, message: Detection3DArray, ctx: RunContext) -> str:
        """Send the changes of one image to MoveIt."""
        poses, unknown = known_poses(message, self._meshes, self.status)
        base_from_cam = self._base.from_camera(message.header)
        if self._base.name and base_from_cam is None:
            return NO_TRANSFORM
        frame = self._base.name or message.header.frame_id
        frame_from_cam = np.eye(4) if base_from_cam is None else base_from_cam
        stamp_ns = conversions.stamp_ns_of(message.header)
        with self.publishing(ctx):
            self._header = Header(stamp=message.header.stamp, frame_id=frame)
            self._welcome()
            self._send(self._scene.update(stamp_ns, poses, frame_from_cam))
            self.published(message.header)
        return "" if poses else unknown or "no object was detected"

    def _welcome(self) -> None:
        """A listener that came later has missed what was added: add it again."""
        listeners = self._changes.get_subscription_count()
        if listeners > self._listeners:
            self._scene.add_again()
        self._listeners = listeners

    def _send(self, changes: Sequence[SceneChange]) -> None:
        for change in changes:
            self._changes.publish(self._message(change))

    def _message(self, change: SceneChange) -> CollisionObject:
        """Geometry goes with ADD alone: MoveIt takes none with MOVE and REMOVE."""
        message = CollisionObject(
            header=self._header,
            id=change.object_id,
            operation=OPERATIONS[change.change],
            pose=pose_message(change.frame_from_obj),
        )
        if change.change is Change.ADD:
            message.type.key = change.class_id
            message.meshes = [self._meshes[change.class_id]]
            message.mesh_poses = [pose_message(np.eye(4))]
            names, poses = self._subframes.get(change.class_id, ([], []))
            message.subframe_names, message.subframe_poses = names, poses
        return message
