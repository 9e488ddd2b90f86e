"""Programs of the same network that send what no node of ours sends, in messages of any size."""

import pytest
import trimesh
from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rclpy.action import ActionClient
from support.ros.engine_double import COLOURS
from support.ros.probe import scene
from support.ros.world import POSES
from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose

from sam6d_ros.action import EstimatePoses
from sam6d_ros.apps.ros.node.heartbeat import beat_of
from sam6d_ros.apps.ros.node.qos import LATCHED, RESULTS, SERVICES
from sam6d_ros.apps.ros.objects.services import RESTATEMENTS
from sam6d_ros.msg import ObjectList
from sam6d_ros.runtime.peers import MAX_TEXT
from sam6d_ros.srv import AddObject

MILLION = 1_000_000
CALLS = 100
LONGEST = Duration(sec=2**31 - 1, nanosec=2**32 - 1)


def heartbeat(number):
    stuck = KeyValue(key="stuck", value="y" * MILLION)
    return DiagnosticStatus(name=f"/{number}" + "x" * MILLION, values=[stuck])


@pytest.fixture(scope="module")
def world(make_world, tmp_path_factory):
    """Segmentation, pose and tracking node of two objects that have files."""
    folder = tmp_path_factory.mktemp("objects")
    entries = []
    for name, colour in COLOURS.items():
        box = trimesh.creation.box((0.2, 0.1, 0.05))
        box.visual.vertex_colors = (*colour, 255)
        box.export(folder / f"{name}.ply")
        entries.append(f"- {{name: {name}, mesh: {name}.ply, unit: m}}\n")
    objects = folder / "objects.yaml"
    objects.write_text("objects:\n" + "".join(entries))
    names = ("segmentation_node", "pose_node", "tracking_node")
    return make_world(*names, objects_file=str(objects), cache_dir=str(folder))


def test_the_texts_of_a_heartbeat_are_cut():
    beat = beat_of(heartbeat(1))
    assert len(beat.stuck) == MAX_TEXT


def test_heartbeats_of_any_length_do_not_fill_the_diagnostics(world):
    for number in range(20):
        world.publish("/heartbeat", heartbeat(number))
    known = heartbeat(0)
    known.name = "/a_peer"
    world.probe.wait_for(
        lambda: "/a_peer is stuck" in peer_problem(world),
        "the peer",
        every=lambda: world.publish("/heartbeat", known),
    )
    assert len(peer_problem(world)) < 3 * MAX_TEXT
    world.poses_come()


def peer_problem(world):
    return world.probe.diagnostics("/pose_node").get("peer_problem", "")


def test_a_foreign_list_of_objects_is_replaced_by_that_of_the_node(world):
    """Readers follow the newest list: an empty one stayed in force, and no pose came.

    The list of the node comes several times: one that a reader took first was replaced for good.
    """
    node = world.probe.node
    topic = "/segmentation_node/objects"
    foreign = node.create_publisher(ObjectList, topic, LATCHED)
    world.probe.wait_for(lambda: foreign.get_subscription_count() >= 3, "its readers")
    known = len(world.probe.received[POSES])
    lists: list[ObjectList] = []
    reader = node.create_subscription(
        ObjectList, topic, lambda m: m.objects and lists.append(m), RESULTS
    )
    foreign.publish(ObjectList())
    world.probe.wait_for(
        lambda: any(not m.detections for m in world.probe.received[POSES][known:]),
        "an empty result",
        every=world.send_frame,
    )
    output = world.nodes["segmentation_node"].output
    world.probe.wait_for(lambda: "has another publisher" in output(), "the warning")
    world.poses_come(timeout_s=40.0)
    world.probe.wait_for(lambda: len(lists) >= RESTATEMENTS, "lists of the node")
    node.destroy_subscription(reader)
    node.destroy_publisher(foreign)


def test_a_hundred_objects_added_at_once_are_each_answered(world):
    client = world.probe.node.create_client(
        AddObject, "/segmentation_node/add_object", qos_profile=SERVICES
    )
    world.probe.wait_for(client.service_is_ready, "the service")
    request = AddObject.Request(name="a", mesh="/nowhere.ply", unit="m")
    answers = [client.call_async(request) for _ in range(CALLS)]
    world.probe.wait_for(lambda: all(a.done() for a in answers), "all answers", 60.0)
    assert not any(answer.result().success for answer in answers)
    world.poses_come()


@pytest.mark.parametrize(
    ("goal", "reason"),
    [
        (EstimatePoses.Goal(timeout=LONGEST), "2 objects"),
        (EstimatePoses.Goal(class_ids=["x" * MILLION]), "no object is named 'xxx"),
        (EstimatePoses.Goal(class_ids=[f"x{i}" for i in range(10_000)]), "named 'x0', 'x1'"),
    ],
    ids=["timeout", "name", "names"],
)
def test_a_goal_of_large_values_gets_a_short_answer(world, goal, reason):
    """The remaining time of the longest timeout was sent as a negative one."""
    client = ActionClient(world.probe.node, EstimatePoses, "/pose_node/estimate_poses")
    world.probe.wait_for(client.server_is_ready, "the action server")
    handle = client.send_goal_async(goal)
    feed = {"every": world.send_frame}
    world.probe.wait_for(handle.done, "the goal", **feed)
    result = handle.result().get_result_async()
    world.probe.wait_for(result.done, "the result", 40.0, **feed)
    message = result.result().result.message
    assert reason in message
    assert len(message) < 3000
    client.destroy()


def test_twenty_thousand_estimates_are_cut_and_tracked_poses_come(world):
    """Each was followed into every frame: the tracking node gave no result for a minute."""
    result = ObjectHypothesisWithPose()
    result.hypothesis.class_id, result.hypothesis.score = "red_box", 0.9
    result.pose.pose.position.z = result.pose.pose.orientation.w = 1.0
    many = [Detection3D(id=str(number), results=[result]) for number in range(20_000)]
    world.send_frame()
    header = world.probe.messages(*scene())[0].header
    world.publish(POSES, Detection3DArray(header=header, detections=many))
    output = world.nodes["tracking_node"].output
    world.probe.wait_for(
        lambda: "20000 detections came of one image; the 100" in output(), "the warning"
    )
    world.poses_come()
