"""A graph around the grasp node or the planning scene node: objects, detections, a camera in TF."""

from __future__ import annotations

import numpy as np
import trimesh
import yaml
from geometry_msgs.msg import PoseArray, TransformStamped
from rclpy.qos import QoSProfile
from tf2_ros import StaticTransformBroadcaster
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.conversions.rigid import pose_message, transform_from_pose
from sam6d_ros.cad.objects import load_objects
from sam6d_ros.geometry import se3
from sam6d_ros.msg import GraspArray
from sam6d_ros.types import PoseEstimate, PoseEstimates

CAMERA, BASE = "camera_optical_frame", "base_link"
BOX = (0.2, 0.06, 0.05)
TOPICS = {
    "/grasp_node/grasps": GraspArray,
    "/grasp_node/grasp_poses": PoseArray,
    "/grasp_node/grasps/red_box": PoseArray,
    "/grasp_node/base/grasps": GraspArray,
    "/grasp_node/base/grasp_poses": PoseArray,
    "/grasp_node/markers": MarkerArray,
}
GRASPS, BASE_GRASPS = "/grasp_node/grasps", "/grasp_node/base/grasps"
POSES = {
    "red_box": se3.exp([0.1, -0.2, 0.8, 0.3, 0.2, -0.5]),
    "block": se3.exp([-0.1, 0.1, 0.9, 0, 0.4, 1.0]),
}
# The camera looks down: its z is the base's -z.
BASE_FROM_CAM = se3.exp([0.4, 0.1, 1.2, np.pi, 0, 0])
SAMPLING = {"sampling.samples": 60, "sampling.count": 40, "tf_timeout_s": 0.5}


def write_files(folder):
    """An objects file, its meshes and a grasp file; a cache will come beside them."""
    trimesh.creation.box(BOX).export(folder / "box.ply")
    trimesh.creation.box((0.2, 0.2, 0.2)).export(folder / "block.ply")
    objects = [
        {"name": "red_box", "mesh": "box.ply", "unit": "m", "symmetries": "none"},
        {"name": "block", "mesh": "block.ply", "unit": "m", "symmetries": "none"},
    ]
    (folder / "objects.yaml").write_text(yaml.safe_dump({"objects": objects}))
    grasp = {"name": "top", "xyz": [0, 0, 0.1], "rpy": [0, 3.1415, 0], "width": 0.06}
    (folder / "grasps.yaml").write_text(yaml.safe_dump({"grasps": {"block": [grasp]}}))


class Graph:
    """A probe that sends detections to one node."""

    def __init__(self, probe, files):
        self.probe, self.files, self.received = probe, files, probe.received
        models = load_objects(files / "objects.yaml", cache_dir=files / "cache")
        self.models = {m.name: m for m in models}
        self.stamp_ns = probe.now_ns()

    def start(self, node="grasp_node", wait=True, **parameters):
        files = {"objects_file": self.files / "objects.yaml", "cache_dir": self.files / "cache"}
        child = self.probe.children.start(node, {**files, **SAMPLING, **parameters})
        topic = f"/{node}/detections"
        self.detections = self.probe.node.create_publisher(Detection3DArray, topic, 5)
        self.probe.listen("/diagnostics")
        if wait:
            self.probe.wait_ready(node)
            self.probe.wait_for(self.detections.get_subscription_count, f"{node} to listen")
        return child

    def listen(self, *topics):
        for topic in topics:
            node, heard = self.probe.node, self.received[topic]
            node.create_subscription(TOPICS[topic], topic, heard.append, QoSProfile(depth=100))

    def message(self, *names):
        """Detections of the named objects at their POSES; unknown names are sent as they are."""
        header = conversions.header_from(self.stamp_ns, CAMERA)
        items = [PoseEstimate(n, 0.9, POSES.get(n, np.eye(4)), None) for n in names]
        poses = PoseEstimates(tuple(items), self.stamp_ns, CAMERA)
        models = {n: self.models.get(n, self.models["block"]) for n in names}
        return conversions.detection_3d_array(poses, header, models)

    def send(self, *names):
        self.detections.publish(self.message(*names))

    def send_until(self, condition, what, *names):
        self.probe.wait_for(condition, what, every=lambda: self.send(*names))

    def broadcast_camera(self):
        """Publish the camera's place in the base frame, as a robot's description would."""
        transform = TransformStamped(child_frame_id=CAMERA)
        transform.header.frame_id = BASE
        pose = pose_message(BASE_FROM_CAM)
        t, p = transform.transform.translation, pose.position
        t.x, t.y, t.z = p.x, p.y, p.z
        transform.transform.rotation = pose.orientation
        self.broadcaster = StaticTransformBroadcaster(self.probe.node)
        self.broadcaster.sendTransform(transform)

    def problem(self):
        return self.probe.diagnostics("/grasp_node").get("input_problem", "")

    def reason(self):
        return self.probe.diagnostics("/grasp_node").get("empty_result_reason", "")


def matrices(message):
    """The poses of an array (N, 4, 4)."""
    poses = [g.pose for g in message.grasps] if isinstance(message, GraspArray) else message.poses
    return np.stack([transform_from_pose(pose) for pose in poses])
