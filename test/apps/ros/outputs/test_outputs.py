"""What the nodes publish beside their detections: poses per class, labels, the object database."""

import functools
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from geometry_msgs.msg import PoseArray
from rclpy.callback_groups import ReentrantCallbackGroup
from sensor_msgs.msg import Image
from support.ros.engine_double import TURNS, models
from support.ros.probe import scene
from vision_msgs.msg import LabelInfo, VisionInfo
from visualization_msgs.msg import Marker, MarkerArray

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.conversions.rigid import transform_from_pose
from sam6d_ros.apps.ros.node.await_thread import SlowCalls
from sam6d_ros.apps.ros.node.qos import LATCHED
from sam6d_ros.apps.ros.outputs.classes import ClassIds, ClassPoses, DatabaseInfo, topic_names
from sam6d_ros.geometry import se3
from sam6d_ros.srv import AddObject, RemoveObject
from sam6d_ros.types import PoseEstimate, PoseEstimates

GREEN, BLUE = (0, 255, 0), (0, 0, 255)


# --- names


def test_every_class_has_a_topic_of_its_own_whatever_its_name():
    names = topic_names(["mug", "021_bleach", "a b", "a-b", "_a__b_", "Tür", "", "日本"])
    assert list(names.values()) == [
        *("mug", "object_021_bleach", "a_b", "a_b_2", "a_b_3", "T_r", "object", "object_2"),
    ]


# --- one node in the test's process


@pytest.fixture
def node(ros):
    return ros.node("maker")


@pytest.fixture
def hear(ros):
    """Subscribe a topic; returns the list of what came."""
    reader = ros.node("reader")

    def subscribe(kind, topic, qos=5):
        received = []
        reader.create_subscription(kind, topic, received.append, qos)
        return received

    return subscribe


def poses_of(*classes):
    items = (PoseEstimate(name, 0.5, se3.exp([0.1, 0, 1, 0, 0, 0])) for name in classes)
    return PoseEstimates(tuple(items), 42, "cam")


def test_topics_of_poses_come_and_go_with_the_classes(ros, node, hear):
    node.slow_calls = SlowCalls(node, ReentrantCallbackGroup(), print)
    poses = ClassPoses(node)
    poses.update(["mug", "021 can"])
    mugs = hear(PoseArray, "/maker/poses/mug")
    cans = hear(PoseArray, "/maker/poses/object_021_can")
    header = conversions.header_from(42, "cam")

    def heard():
        poses.publish(poses_of("mug", "mug"), header)
        return mugs and cans

    ros.wait_for(heard, "both topics")
    assert [len(m.poses) for m in (mugs[0], cans[0])] == [2, 0]
    assert mugs[0].header == cans[0].header == header
    poses.update(["021 can", "new"])
    topics = {t.topic_name for t in node.publishers}
    assert {"/maker/poses/object_021_can", "/maker/poses/new"} <= topics
    assert "/maker/poses/mug" not in topics
    cans.clear()
    ros.wait_for(
        lambda: poses.publish(poses_of("021 can"), header) or cans, "the class that stayed"
    )


def test_a_class_keeps_its_number_while_others_come_and_go(ros, node, hear):
    ids, received = ClassIds(node), hear(LabelInfo, "/maker/label_info", LATCHED)
    ids.update(["mug", "can"])
    ids.update(["can"])
    ids.update(["can"])  # no change, no second line
    ids.update(["box", "mug", "can"])
    assert ids.numbers == {"box": 3, "mug": 1, "can": 2}
    assert ids.include(["can", "new"]) == {"box": 3, "mug": 1, "can": 2, "new": 4}
    ros.wait_for(lambda: received and len(received[-1].class_map) == 4, "the newest numbers")
    assert {c.class_name: c.class_id for c in received[-1].class_map} == ids.numbers
    assert len(received) <= 4


def test_the_version_counts_changes_of_the_objects(ros, node, hear):
    info = DatabaseInfo(node)
    red, green = models()
    changed = replace(red, content_hash="other")
    for objects in ([red], [red], [red, green], [changed, green], [green]):
        info.update({m.name: m for m in objects}, "geometric", "/data/objects.yaml")
    received = hear(VisionInfo, "/maker/vision_info", LATCHED)  # late, and logged nevertheless
    ros.wait_for(lambda: received, "the latched message")
    assert received[0].database_version == 4
    assert received[0].database_location == "/data/objects.yaml"
    assert received[0].method.endswith("backend geometric")


# --- over DDS


def hear_newest(probe, kinds):
    """Subscribe topics of these types; returns the newest message of each, as far as one came."""
    newest = {}
    for topic, kind in kinds.items():
        qos = LATCHED if topic.endswith("_info") else 5
        note = functools.partial(newest.__setitem__, topic)
        probe.node.create_subscription(kind, topic, note, qos)
    return newest


def test_poses_labels_and_information_go_through_the_graph(probe):
    kinds = {
        "/pose_node/poses/red_box": PoseArray,
        "/pose_node/poses/green_box": PoseArray,
        "/segmentation_node/label_image": Image,
        "/segmentation_node/instance_image": Image,
        "/segmentation_node/label_info": LabelInfo,
        "/pose_node/vision_info": VisionInfo,
    }
    received = hear_newest(probe, kinds)
    probe.start_double("segmentation_node", "pose_node")
    sent = probe.messages(*scene([GREEN]))
    probe.wait_for(lambda: kinds.keys() <= received.keys(), "all", every=lambda: probe.send(sent))
    reds, greens, labels, instances, label_info, vision_info = (received[t] for t in kinds)
    assert (reds.poses, reds.header) == ([], sent[0].header)
    (pose,) = greens.poses
    turn = se3.exp([0, 0, 0, *TURNS["green_box"]])[:3, :3]
    np.testing.assert_allclose(transform_from_pose(pose)[:3, :3], turn, atol=1e-6)
    ids = {c.class_name: c.class_id for c in label_info.class_map}
    assert ids == {"red_box": 1, "green_box": 2}
    assert (labels.encoding, labels.header) == ("mono8", sent[0].header)
    assert set(labels.data) == {0, ids["green_box"]}
    assert set(instances.data) == {0, 1}
    assert (vision_info.database_location, vision_info.database_version) == ("unused", 1)


def call(probe, kind, service, **request):
    client = probe.node.create_client(kind, service)
    probe.wait_for(client.service_is_ready, service)
    future = client.call_async(kind.Request(**request))
    probe.wait_for(future.done, f"the answer of {service}")
    answer = future.result()
    assert answer.success, answer.message


def test_outputs_follow_objects_that_come_and_go(probe, tmp_path):
    """Added and removed in the segmentation node; the pose node follows it."""
    mesh = trimesh.creation.box((0.12, 0.08, 0.06))
    mesh.visual.vertex_colors = [*BLUE, 255]
    mesh.export(tmp_path / "blue.ply")
    newest = hear_newest(
        probe,
        {
            "/segmentation_node/label_info": LabelInfo,
            "/pose_node/vision_info": VisionInfo,
            "/pose_node/poses/blue": PoseArray,
            "/pose_node/markers": MarkerArray,
            "/segmentation_node/label_image": Image,
        },
    )
    probe.start_double("segmentation_node", "pose_node", parameters={"cache_dir": tmp_path})
    sent = probe.messages(*scene([GREEN, BLUE]))

    def marked():
        markers = newest.get("/pose_node/markers", MarkerArray()).markers
        return {m.ns for m in markers if m.action == Marker.ADD}

    def wait(condition, what):
        probe.wait_for(condition, what, every=lambda: probe.send(sent))

    wait(lambda: marked() == {"green_box"}, "the marker of the object that is known")
    add = {"name": "blue", "mesh": str(tmp_path / "blue.ply"), "unit": "m"}
    call(probe, AddObject, "/segmentation_node/add_object", **add)
    wait(lambda: marked() == {"green_box", "blue"}, "the marker of the new object")
    wait(lambda: newest.get("/pose_node/poses/blue", PoseArray()).poses, "its pose")
    ids = {c.class_name: c.class_id for c in newest["/segmentation_node/label_info"].class_map}
    assert ids == {"red_box": 1, "green_box": 2, "blue": 3}
    wait(lambda: set(newest["/segmentation_node/label_image"].data) == {0, 2, 3}, "its label")
    version = newest["/pose_node/vision_info"].database_version + 1
    call(probe, RemoveObject, "/segmentation_node/remove_object", name="blue")
    wait(lambda: marked() == {"green_box"}, "the marker to go")
    wait(lambda: not probe.node.count_publishers("/pose_node/poses/blue"), "its topic to go")
    wait(lambda: newest["/pose_node/vision_info"].database_version == version, "the version")
