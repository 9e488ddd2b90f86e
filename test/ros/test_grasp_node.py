"""The grasp node and the planning scene node as processes: detections in, grasps out."""

import os
import subprocess
import sys

import numpy as np
import pytest
import trimesh
import yaml
from geometry_msgs.msg import PoseArray, TransformStamped
from rclpy.qos import QoSProfile
from ros.probe import RESULTS
from tf2_ros import StaticTransformBroadcaster
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import Marker, MarkerArray

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


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with an objects file, its meshes, a cache that the tests share, and grasp files."""
    folder = tmp_path_factory.mktemp("grasps")
    trimesh.creation.box(BOX).export(folder / "box.ply")
    trimesh.creation.box((0.2, 0.2, 0.2)).export(folder / "block.ply")
    objects = [
        {"name": "red_box", "mesh": "box.ply", "unit": "m", "symmetries": "none"},
        {"name": "block", "mesh": "block.ply", "unit": "m", "symmetries": "none"},
    ]
    (folder / "objects.yaml").write_text(yaml.safe_dump({"objects": objects}))
    grasp = {"name": "top", "xyz": [0, 0, 0.1], "rpy": [0, 3.1415, 0], "width": 0.06}
    (folder / "grasps.yaml").write_text(yaml.safe_dump({"grasps": {"block": [grasp]}}))
    return folder


@pytest.fixture
def graph(probe, files):
    """The probe, with what the tests below have in common."""
    return Graph(probe, files)


class Graph:
    def __init__(self, probe, files):
        self.probe, self.files, self.received = probe, files, probe.received
        self.models = {m.name: m for m in load_objects(files / "objects.yaml")}
        self.stamp_ns = probe.now_ns()

    def start(self, node="grasp_node", wait=True, **parameters):
        files = {"objects_file": self.files / "objects.yaml", "cache_dir": self.files / "cache"}
        child = self.probe.children.start(node, {**files, **SAMPLING, **parameters})
        topic = f"/{node}/detections"
        self.detections = self.probe.node.create_publisher(Detection3DArray, topic, 5)
        RESULTS.update(TOPICS)
        self.probe.listen("/diagnostics")
        if wait:
            self.probe.wait_ready(node)
            self.probe.wait_for(self.detections.get_subscription_count, f"{node} to listen")
        return child

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
        """Where the camera is in the base frame, as a robot's description would say it."""
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
    poses = [g.pose for g in message.grasps] if isinstance(message, GraspArray) else message.poses
    return np.stack([transform_from_pose(pose) for pose in poses])


def test_grasps_come_in_the_frames_of_camera_object_and_base(graph):
    graph.start(base_frame=BASE, tf_prefix="cell/", max_grasps=7)
    graph.probe.listen(*TOPICS)
    graph.broadcast_camera()
    graph.send_until(lambda: all(graph.received[t] for t in TOPICS), "all results", "red_box")
    newest = {topic: graph.received[topic][-1] for topic in TOPICS}
    in_camera, in_base = newest[GRASPS], newest[BASE_GRASPS]
    sent = graph.message("red_box").header
    assert in_camera.header == sent
    assert newest["/grasp_node/grasp_poses"].header == sent
    assert (in_base.header.stamp, in_base.header.frame_id) == (sent.stamp, BASE)
    own = newest["/grasp_node/grasps/red_box"]
    assert (own.header.stamp, own.header.frame_id) == (sent.stamp, "cell/red_box_0")
    assert len(in_camera.grasps) == 7
    assert {(g.object_id, g.class_id) for g in in_camera.grasps} == {("red_box_0", "red_box")}
    scores = [g.score for g in in_camera.grasps]
    assert scores == sorted(scores, reverse=True)
    assert {round(g.width, 3) for g in in_camera.grasps} <= {0.05, 0.06}
    obj_from_grip = matrices(own)
    cam_from_grip = POSES["red_box"] @ obj_from_grip
    np.testing.assert_allclose(matrices(in_camera), cam_from_grip, atol=1e-6)
    np.testing.assert_allclose(
        matrices(newest["/grasp_node/grasp_poses"]), cam_from_grip, atol=1e-6
    )
    for topic in (BASE_GRASPS, "/grasp_node/base/grasp_poses"):
        np.testing.assert_allclose(
            matrices(newest[topic]), BASE_FROM_CAM @ cam_from_grip, atol=1e-6
        )
    cleared, lines = newest["/grasp_node/markers"].markers
    assert (cleared.action, lines.type) == (Marker.DELETEALL, Marker.LINE_LIST)
    assert len(lines.points) == len(lines.colors) == 8 * 7


def test_without_a_transform_the_camera_frame_is_served_and_the_missing_one_named(graph):
    node = graph.start(base_frame=BASE, tf_timeout_s=0.05)
    graph.probe.listen(GRASPS, BASE_GRASPS)
    graph.send_until(
        lambda: graph.received[GRASPS] and "base_link" in graph.problem(), "a warning", "red_box"
    )
    expected = f"no transform from the camera's frame {CAMERA!r} to base_frame {BASE!r}"
    assert expected in graph.problem()
    assert expected in node.output()
    assert "does not exist" in graph.problem()
    assert graph.received[GRASPS][-1].grasps
    assert not graph.received[BASE_GRASPS]
    graph.broadcast_camera()
    graph.send_until(lambda: graph.received[BASE_GRASPS], "the base frame", "red_box")
    graph.send_until(lambda: not graph.problem(), "the warning to go", "red_box")


def test_an_unknown_class_is_named_and_the_others_get_their_grasps(graph):
    node = graph.start()
    graph.probe.listen(GRASPS)
    graph.send_until(lambda: graph.received[GRASPS], "grasps", "teapot", "red_box")
    assert {g.class_id for g in graph.received[GRASPS][-1].grasps} == {"red_box"}
    graph.probe.wait_for(lambda: "teapot" in node.output(), "the warning")
    assert "detections of ['teapot'], which are no objects here" in node.output()
    graph.send_until(lambda: "teapot" in graph.reason(), "the reason", "teapot")
    assert not graph.received[GRASPS][-1].grasps


def test_an_object_that_is_too_large_has_no_grasps_and_diagnostics_say_why(graph):
    graph.start()
    graph.probe.listen(GRASPS)
    graph.send_until(lambda: "block" in graph.reason(), "the reason", "block")
    assert "block: the object is at least 0.200 m wide" in graph.reason()
    assert not graph.received[GRASPS][-1].grasps
    assert graph.received[GRASPS][-1].header == graph.message().header
    graph.send_until(lambda: graph.reason() == "no object was detected", "the other reason")


def test_stated_grasps_take_the_place_of_sampled_ones(graph):
    graph.start(grasp_file=graph.files / "grasps.yaml")
    graph.probe.listen(GRASPS)
    graph.send_until(lambda: graph.received[GRASPS], "grasps", "red_box", "block")
    found = graph.received[GRASPS][-1].grasps
    assert [g.name for g in found if g.class_id == "block"] == ["top"]
    assert all(g.name.startswith("sampled_") for g in found if g.class_id == "red_box")
    (top,) = [g for g in found if g.name == "top"]
    expected = POSES["block"] @ se3.from_quat_xyzw_translation([0, 1, 0, 0], [0, 0, 0.1])
    np.testing.assert_allclose(transform_from_pose(top.pose), expected, atol=1e-3)


def test_only_grasps_from_above_pass_when_only_they_are_wanted(graph):
    graph.start(base_frame=BASE, max_approach_angle=0.7, tf_timeout_s=0.05, max_grasps=40)
    graph.probe.listen(GRASPS, BASE_GRASPS)
    wanted = "red_box: max_approach_angle is set, but base_frame is not known"
    graph.send_until(lambda: graph.reason() == wanted, "nothing unjudged", "red_box")
    assert not any(message.grasps for message in graph.received[GRASPS])
    graph.broadcast_camera()
    graph.send_until(
        lambda: graph.received[BASE_GRASPS] and graph.received[BASE_GRASPS][-1].grasps,
        "grasps",
        "red_box",
    )
    approaches = matrices(graph.received[BASE_GRASPS][-1])[:, :3, 2]
    assert (approaches @ [0, 0, -1] >= np.cos(0.7) - 1e-6).all()


def test_detections_that_cannot_be_right_are_refused_and_the_node_recovers(graph):
    graph.start()
    graph.probe.listen(GRASPS)

    def send_bad():
        bad = graph.message("red_box")
        bad.detections[0].results = []
        graph.detections.publish(bad)

    def error():
        return graph.probe.diagnostics("/grasp_node").get("last_error", "")

    graph.probe.wait_for(lambda: "has no results" in error(), "a diagnostic", every=send_bad)
    assert not graph.received[GRASPS]
    graph.send_until(lambda: graph.received[GRASPS] and not error(), "grasps", "red_box")


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"grasp_file": "/nowhere/grasps.yaml"}, "the grasp file /nowhere/grasps.yaml cannot be"),
        ({"gripper.clearance": 0.04}, "leaves nothing between two clearances"),
        ({"max_approach_angle": 0.5}, "max_approach_angle is set, but base_frame is not"),
    ],
    ids=["grasp file", "gripper", "filter"],
)
def test_settings_that_cannot_be_leave_the_node_unconfigured_with_the_reason(
    graph, parameters, says
):
    graph.start(wait=False, **parameters)
    graph.probe.wait_for(
        lambda: says in graph.probe.diagnostics("/grasp_node").get("message", ""), "the reason"
    )
    values = graph.probe.diagnostics("/grasp_node")
    assert (values["state"], values["lifecycle"]) == ("loading failed", "unconfigured")


def test_without_moveit_the_planning_scene_node_says_in_one_line_what_to_install():
    blocker = "import sys; sys.modules['moveit_msgs'] = None; "
    run = "from sam6d_ros.apps.ros.planning_scene_node import main; sys.exit(main())"
    result = subprocess.run(
        [sys.executable, "-c", blocker + run],
        env={**os.environ, "ROS_DISTRO": "jazzy"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr == (
        "planning_scene_node needs moveit_msgs, which is not installed: "
        "sudo apt install ros-jazzy-moveit-msgs\n"
    )


def test_the_scene_of_moveit_gets_adds_moves_and_removes_objects_with_their_grasps(graph):
    messages = pytest.importorskip(
        "moveit_msgs.msg", reason="moveit_msgs comes with a ROS 2 distribution only"
    )
    kind = messages.CollisionObject
    graph.start("planning_scene_node", base_frame=BASE, forget_s=2.0, subframes=3)
    graph.broadcast_camera()
    changes = []
    graph.probe.node.create_subscription(
        kind, "/collision_object", changes.append, QoSProfile(depth=100)
    )

    def last(operation):
        return [c for c in changes if c.operation == operation]

    def send(seconds, *names):
        graph.stamp_ns += int(seconds * 1e9)
        graph.send(*names)

    graph.send_until(lambda: last(kind.ADD) and last(kind.MOVE), "add, then move", "red_box")
    added, moved = last(kind.ADD)[0], last(kind.MOVE)[0]
    assert added.header.frame_id == moved.header.frame_id == BASE
    assert (added.id, added.type.key) == ("red_box_0", "red_box")
    for change in (added, moved):
        base_from_obj = transform_from_pose(change.pose)
        np.testing.assert_allclose(base_from_obj, BASE_FROM_CAM @ POSES["red_box"], atol=1e-6)
    (mesh,) = added.meshes
    corners = np.array([[v.x, v.y, v.z] for v in mesh.vertices])
    np.testing.assert_allclose(np.ptp(corners, axis=0), BOX, atol=1e-6)
    assert len(mesh.triangles) == 12
    assert len(added.subframe_names) == len(added.subframe_poses) == 6
    assert added.subframe_names[:2] == ["sampled_0", "sampled_0_pregrasp"]
    assert not moved.meshes
    assert not moved.subframe_names
    graph.probe.wait_for(lambda: last(kind.REMOVE), "the removal", every=lambda: send(0.5))
    assert last(kind.REMOVE)[0].id == "red_box_0"
    changes.clear()
    graph.send_until(lambda: last(kind.MOVE), "the object again", "red_box")
    late = []
    graph.probe.node.create_subscription(
        kind, "/collision_object", late.append, QoSProfile(depth=100)
    )
    graph.send_until(
        lambda: any(c.operation == kind.ADD for c in late), "an add for the late one", "red_box"
    )
