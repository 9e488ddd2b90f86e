"""A managed node within one process: waiting for the worker, faults, memory, a shared engine."""

import threading
import weakref

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from ros import engine_double
from std_srvs.srv import Trigger

from sam6d_ros.apps.ros import vision_node
from sam6d_ros.apps.ros.pipeline import shared
from sam6d_ros.apps.ros.vision_node import VisionNode
from sam6d_ros.config import PipelineConfig
from sam6d_ros.runtime.worker import Interrupted

PATIENCE_S = 20.0


class Parrot(VisionNode):
    """Repeats in the worker what a service asks for."""

    broken = False

    def __init__(self, build):
        arguments = ["--ros-args", "-p", "objects_file:=unused", "-p", "autostart:=false"]
        super().__init__("parrot", "pose", vision_node.PARAMETERS, build, arguments)
        self.heard, self.go_on = threading.Semaphore(0), threading.Event()
        self.create_service(Trigger, "~/say", self.say, callback_group=self.service_group)

    async def say(self, _request, response):
        words = self.in_worker(self.job)
        self.heard.release()
        try:
            response.message = await words
        except Interrupted as error:
            response.message = str(error)
        return response

    def job(self):
        self.go_on.wait(PATIENCE_S)
        return f"{threading.current_thread().name} has {', '.join(self.engine.objects)}"

    def open_inputs(self):
        if self.broken:
            raise ZeroDivisionError("the inputs are broken")

    def close_inputs(self):
        """Nothing is open."""

    def process(self, item, trace):
        raise AssertionError("nothing is submitted")


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


def asked(node):
    """Ask the parrot; what to call to wait for its words."""
    done = threading.Event()
    client = node.create_client(Trigger, "~/say", callback_group=node.service_group)
    assert client.wait_for_service(PATIENCE_S)
    future = client.call_async(Trigger.Request())
    future.add_done_callback(lambda _: done.set())

    def answer():
        assert done.wait(PATIENCE_S)
        return future.result().message

    return answer


def test_a_service_awaits_the_worker_while_others_are_served(parrot):
    assert parrot.trigger_configure() is TransitionCallbackReturn.SUCCESS
    first, second = asked(parrot), asked(parrot)
    assert all(parrot.heard.acquire(timeout=PATIENCE_S) for _ in range(2))
    assert parrot.trigger_activate() is TransitionCallbackReturn.SUCCESS
    parrot.go_on.set()
    assert first() == second() == "parrot has red_box, green_box"


def test_deactivating_answers_those_who_wait_for_the_worker(parrot):
    parrot.trigger_configure()
    parrot.trigger_activate()
    answers = asked(parrot), asked(parrot)
    assert all(parrot.heard.acquire(timeout=PATIENCE_S) for _ in range(2))
    assert parrot.trigger_deactivate() is TransitionCallbackReturn.SUCCESS
    assert [answer() for answer in answers] == ["the node was deactivated"] * 2


def test_a_transition_that_raises_is_reported_and_leaves_the_node_unconfigured(parrot):
    parrot.trigger_configure()
    parrot.broken = True
    assert parrot.trigger_activate() is TransitionCallbackReturn.ERROR
    assert parrot.lifecycle == "unconfigured"
    assert "the inputs are broken" in parrot.status.last_error
    assert not parrot.active
    parrot.broken = False
    assert parrot.trigger_configure() is TransitionCallbackReturn.SUCCESS
    assert parrot.trigger_activate() is TransitionCallbackReturn.SUCCESS


def test_cleanup_lets_go_of_the_engine(parrot):
    parrot.trigger_configure()
    engine = weakref.ref(parrot.engine)
    assert parrot.trigger_cleanup() is TransitionCallbackReturn.SUCCESS
    assert engine() is None
    with pytest.raises(vision_node.NotConfigured, match="/parrot is unconfigured"):
        _ = parrot.engine


def test_nodes_with_equal_settings_share_one_engine_of_both_halves(tmp_path):
    build = shared(engine_double.build)
    config, unused = PipelineConfig(), tmp_path / "unused"
    one = build(config, unused, tmp_path, "segmentation")
    assert build(config, unused, tmp_path, "pose") is one
    assert one.role == "full"
    assert build(PipelineConfig(min_score=0.1), unused, tmp_path, "pose") is not one
    del one
    again = build(config, unused, tmp_path, "pose")
    assert build(config, unused, tmp_path, "segmentation") is again
