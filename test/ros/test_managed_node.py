"""A managed node within one process: waiting for the worker, faults, memory, a shared engine."""

import gc
import threading
import weakref
from dataclasses import replace

import pytest
import rclpy
import trimesh
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter as RosParameter
from ros import engine_double
from std_srvs.srv import Trigger

from sam6d_ros.apps.ros import vision_node
from sam6d_ros.apps.ros.pipeline import shared
from sam6d_ros.apps.ros.vision_node import VisionNode
from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import NotReady
from sam6d_ros.runtime.build import EngineSpec
from sam6d_ros.runtime.request import Request
from sam6d_ros.srv import ListObjects

PATIENCE_S = 20.0


class Parrot(VisionNode):
    """Repeats in the compute thread what a service asks for."""

    broken = False

    def __init__(self, build):
        arguments = ["--ros-args", "-p", "objects_file:=unused", "-p", "autostart:=false"]
        self.engine = lambda: None

        def remembered(*given):
            engine = build(*given)
            self.engine = weakref.ref(engine)
            return engine

        super().__init__("parrot", "pose", vision_node.PARAMETERS, remembered, arguments)
        self.heard, self.go_on = threading.Semaphore(0), threading.Event()
        self.create_service(Trigger, "~/say", self.say, callback_group=self.service_group)

    async def say(self, _request, response):
        words = self.awaitable(self.host.submit(Request(self.job)))
        self.heard.release()
        try:
            response.message = await words
        except NotReady as error:
            response.message = str(error)
        return response

    def job(self, engine, _):
        self.go_on.wait(PATIENCE_S)
        return f"{threading.current_thread().name} has {', '.join(engine.objects)}"

    def open_inputs(self):
        if self.broken:
            raise ZeroDivisionError("the inputs are broken")

    def close_inputs(self):
        """Nothing is open."""


@pytest.fixture
def parrot():
    """A parrot that an executor spins in a thread of its own."""
    rclpy.init()
    node = Parrot(engine_double.build)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    spinning = threading.Thread(target=executor.spin)
    spinning.start()
    yield node
    node.go_on.set()
    node.stop()
    executor.shutdown()
    spinning.join(PATIENCE_S)
    node.destroy_node()
    rclpy.try_shutdown()


def asked(node, kind=Trigger, name="~/say"):
    """Call a service of the parrot; returns a function that waits for the response."""
    done = threading.Event()
    client = node.create_client(kind, name, callback_group=node.service_group)
    assert client.wait_for_service(PATIENCE_S)
    future = client.call_async(kind.Request())
    future.add_done_callback(lambda _: done.set())

    def answer():
        assert done.wait(PATIENCE_S)
        return future.result()

    return answer


def test_a_service_awaits_the_compute_thread_while_others_are_served(parrot):
    parrot.trigger_configure()
    assert parrot.trigger_activate() is TransitionCallbackReturn.SUCCESS
    first, second = asked(parrot), asked(parrot)
    assert all(parrot.heard.acquire(timeout=PATIENCE_S) for _ in range(2))
    assert len(asked(parrot, ListObjects, "~/list_objects")().objects) == 2
    parrot.go_on.set()
    assert first().message == second().message == "/parrot has red_box, green_box"


def test_deactivating_answers_those_who_wait_for_the_compute_thread(parrot):
    parrot.trigger_configure()
    parrot.trigger_activate()
    answers = asked(parrot), asked(parrot)
    assert all(parrot.heard.acquire(timeout=PATIENCE_S) for _ in range(2))
    assert parrot.trigger_deactivate() is TransitionCallbackReturn.SUCCESS
    assert [answer().message for answer in answers] == ["the node was deactivated"] * 2


def test_a_transition_that_raises_is_reported_and_leaves_the_node_unconfigured(parrot):
    parrot.trigger_configure()
    parrot.broken = True
    assert parrot.trigger_activate() is TransitionCallbackReturn.ERROR
    assert parrot.lifecycle == "unconfigured"
    assert "the inputs are broken" in parrot.status.snapshot().last_error
    assert not parrot.active
    parrot.broken = False
    assert parrot.trigger_configure() is TransitionCallbackReturn.SUCCESS
    assert parrot.trigger_activate() is TransitionCallbackReturn.SUCCESS


def test_cleanup_lets_go_of_the_engine(parrot):
    parrot.trigger_configure()
    engine = parrot.engine
    assert engine() is not None
    assert parrot.trigger_cleanup() is TransitionCallbackReturn.SUCCESS
    gc.collect()
    assert engine() is None
    parrot.trigger_activate()
    with pytest.raises(NotReady, match="/parrot is not loaded"):
        parrot.host.submit(Request(lambda *_: None)).result()


@pytest.fixture
def box_file(tmp_path):
    """An objects file with one box."""
    trimesh.creation.box((0.12, 0.08, 0.06)).export(tmp_path / "box.ply")
    path = tmp_path / "objects.yaml"
    path.write_text("objects: [{name: box, mesh: box.ply, unit: m}]")
    return path


def set_file(node, path):
    (result,) = node.set_parameters([RosParameter("objects_file", value=str(path))])
    return result


def test_what_breaks_while_a_file_is_checked_is_the_reason_of_the_refusal(
    parrot, box_file, monkeypatch
):
    """Also an error that is none of ours, which must not end the node."""

    def broken(*_):
        raise ModuleNotFoundError("No module named 'networkx'")

    parrot.trigger_configure()
    monkeypatch.setattr("sam6d_ros.apps.ros.objects_file.load_entry", broken)
    result = set_file(parrot, box_file)
    assert not result.successful
    assert result.reason == "ModuleNotFoundError: No module named 'networkx'"
    assert parrot.get_parameter("objects_file").value == "unused"
    assert list(parrot.objects) == ["red_box", "green_box"]


def test_a_file_whose_objects_cannot_be_taken_is_set_back_and_reported(
    parrot, box_file, monkeypatch
):
    """The check passes, and then memory runs out."""

    tried = []

    def full(model):
        tried.append(model.name)
        raise MemoryError("no room for views")

    parrot.trigger_configure()
    assert set_file(parrot, box_file).successful
    assert list(parrot.objects) == ["box"]
    other = box_file.with_name("other.yaml")
    other.write_text(box_file.read_text())
    monkeypatch.setattr(parrot.engine(), "_prepare", full)
    set_file(parrot, other)
    assert parrot.get_parameter("objects_file").value == str(box_file)
    assert parrot.status.snapshot().last_error == "MemoryError: no room for views"
    assert list(parrot.objects) == ["box"]
    assert tried == ["box"], "setting back must not try again what fails"


def test_nodes_with_equal_specs_share_one_engine_of_both_halves(tmp_path):
    build = shared(engine_double.build)
    spec = EngineSpec(cache_dir=tmp_path, role="segmentation", objects_file=tmp_path / "unused")
    pose = replace(spec, role="pose")
    one = build(spec)
    assert build(pose) is one
    assert one.role == "full"
    assert build(replace(pose, config=PipelineConfig(max_instances=7))) is not one
    assert build(replace(spec, role="objects")).role == "objects"
    del one
    again = build(pose)
    assert build(spec) is again
