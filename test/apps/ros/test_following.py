"""A node that follows the list of objects of another node, in one process."""

import pytest
import trimesh
from rclpy.parameter import Parameter as RosParameter
from support.ros import engine_double
from support.ros.spun import Barrier, arguments, await_that, log_lines, spun

from sam6d_ros.apps.ros.node import topics
from sam6d_ros.apps.ros.node.qos import LATCHED
from sam6d_ros.apps.ros.pose_node import PoseNode
from sam6d_ros.errors import NotReady
from sam6d_ros.msg import ObjectEntry, ObjectList
from sam6d_ros.runtime.request import Request


@pytest.fixture
def node():
    """A configured pose node."""
    with spun(lambda: PoseNode(engine_double.build, arguments())) as node:
        node.trigger_configure()
        yield node


@pytest.fixture
def tell(node, tmp_path):
    """Publish a list with one box of a name, and wait until the node has it."""
    trimesh.creation.box((0.12, 0.08, 0.06)).export(tmp_path / "box.ply")
    publisher = node.create_publisher(ObjectList, "/pose_node/follow_objects", LATCHED)

    def tell(name):
        entry = ObjectEntry(name=name, mesh=str(tmp_path / "box.ply"), unit="m", content_hash=name)
        publisher.publish(ObjectList(objects=[entry]))
        followed = node._object_services._followed
        await_that(lambda: followed.value and followed.value.objects == [entry], name)

    return tell


def away(tried):
    """Preparation of an object by a server that is away."""

    def prepare(model):
        tried.append(model.name)
        raise NotReady("the server of the backend is away")

    return prepare


def test_one_thread_follows_the_newest_list_however_many_come(node, tell, monkeypatch):
    changes, change = [], node.host.change
    monkeypatch.setattr(
        node.host, "change", lambda wanted: changes.append(wanted) or change(wanted)
    )
    busy = Barrier()
    node.trigger_activate()
    node.host.submit(Request(busy.before(lambda *_: None)))
    busy.await_reached()
    for number in range(10):
        tell(f"box_{number}")
    assert sum(thread.is_alive() for thread in node.slow_calls._threads) == 1
    busy.go_on.set()
    await_that(lambda: list(node.objects) == ["box_9"], "the newest list")
    assert len(changes) == 2, "the first list and the newest"


def test_attempts_at_a_list_are_limited_and_the_reason_is_logged(node, tell, monkeypatch):
    tried, lines = [], log_lines(node, monkeypatch)
    monkeypatch.setattr(node.host._resource, "_prepare", away(tried))
    tell("box")
    await_that(lambda: lines, "a log line")
    assert tried == ["box"] * topics.CHANGE_ATTEMPTS
    assert "the server of the backend is away" in lines[0][1]
    assert list(node.objects) == ["red_box", "green_box"]
    monkeypatch.undo()
    tell("box_2")
    await_that(lambda: list(node.objects) == ["box_2"], "the next list")


def test_attempts_at_an_objects_file_are_limited_and_it_is_set_back(node, tmp_path, monkeypatch):
    tried = []
    trimesh.creation.box((0.12, 0.08, 0.06)).export(tmp_path / "box.ply")
    path = tmp_path / "objects.yaml"
    path.write_text("objects: [{name: box, mesh: box.ply, unit: m}]")
    monkeypatch.setattr(node.host._resource, "_prepare", away(tried))
    node.set_parameters([RosParameter("objects_file", value=str(path))])
    assert tried == ["box"] * topics.CHANGE_ATTEMPTS
    assert node.get_parameter("objects_file").value == "unused"
    assert list(node.objects) == ["red_box", "green_box"]
