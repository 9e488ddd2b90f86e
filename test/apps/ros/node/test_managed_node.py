"""A managed node within one process: waiting for the worker, faults, memory, a shared engine."""

import gc
import logging
import sys
import threading
import weakref
from dataclasses import replace

import pytest
import trimesh
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParameters
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter as RosParameter
from std_msgs.msg import Bool
from std_srvs.srv import Trigger
from support.ros import engine_double
from support.ros.spun import PATIENCE_S, arguments, asked, log_lines, spun

from sam6d_ros.apps.ros import vision
from sam6d_ros.apps.ros.node.reports import diagnostic_status
from sam6d_ros.apps.ros.one_process import shared
from sam6d_ros.apps.ros.vision import VisionNode
from sam6d_ros.config import PipelineConfig
from sam6d_ros.errors import NotReady
from sam6d_ros.runtime.build import EngineSpec
from sam6d_ros.runtime.host import Host
from sam6d_ros.runtime.objects import ObjectChange
from sam6d_ros.runtime.request import Request
from sam6d_ros.srv import ListObjects

INPUT = "/parrot/input"


class Parrot(VisionNode):
    """Repeats in the compute thread what a service asks for."""

    broken = False

    def __init__(self, build):
        self.engine = lambda: None

        def remembered(*given):
            engine = build(*given)
            self.engine = weakref.ref(engine)
            return engine

        super().__init__("parrot", "pose", vision.PARAMETERS, remembered, arguments())
        self.heard, self.go_on = threading.Semaphore(0), threading.Event()
        self.create_service(Trigger, "~/answer", self.answer, callback_group=self.service_group)

    async def answer(self, _request, response):
        words = self.awaitable(self.host.submit(Request(self.job)))
        self.heard.release()
        try:
            response.message = await words
        except Exception as error:
            response.message = str(error)
        return response

    def job(self, engine, _):
        self.go_on.wait(PATIENCE_S)
        if self.broken:
            raise SystemExit("the job is broken")
        return f"{threading.current_thread().name} has {', '.join(engine.objects)}"

    def open_inputs(self):
        self.subscribe(Bool, INPUT, lambda _: None, 1)
        if self.broken:
            raise ZeroDivisionError("the inputs are broken")

    def validate_changes(self, changes):
        if self.broken:
            raise SystemExit("the check is broken")
        super().validate_changes(changes)


@pytest.fixture
def parrot():
    """A parrot that an executor spins in a thread of its own."""
    with spun(lambda: Parrot(engine_double.build)) as node:
        yield node
        node.go_on.set()


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


def inputs_of(node):
    """Number of the parrot's subscriptions to its input."""
    return sum(subscription.topic_name == INPUT for subscription in node.subscriptions)


def test_a_failed_activation_closes_what_it_opened_and_leaves_the_node_inactive(parrot):
    parrot.trigger_configure()
    parrot.broken = True
    assert parrot.trigger_activate() is TransitionCallbackReturn.FAILURE
    assert parrot.lifecycle == "inactive"
    row = diagnostic_status(parrot.status, dropped=0)
    assert row.level == DiagnosticStatus.WARN
    assert row.message == "inactive: ZeroDivisionError: the inputs are broken"
    assert not parrot.active
    assert parrot.engine() is not None
    assert inputs_of(parrot) == 0
    parrot.broken = False
    assert parrot.trigger_activate() is TransitionCallbackReturn.SUCCESS
    assert inputs_of(parrot) == 1


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit])
def test_a_transition_that_raises_is_reported_and_leaves_the_node_unconfigured(parrot, error):
    def broken():
        raise error("an input cannot be closed")

    parrot.trigger_configure()
    parrot.trigger_activate()
    parrot.inputs.callback(broken)
    assert parrot.trigger_deactivate() is TransitionCallbackReturn.ERROR
    assert parrot.lifecycle == "unconfigured"
    assert "an input cannot be closed" in parrot.status.snapshot().last_error
    assert not parrot.active
    assert inputs_of(parrot) == 0
    assert parrot.trigger_configure() is TransitionCallbackReturn.SUCCESS
    assert parrot.trigger_activate() is TransitionCallbackReturn.SUCCESS


def test_an_exit_in_a_thread_of_the_node_is_an_error_for_the_caller(parrot):
    """As some libraries end a program; the node goes on."""
    assert isinstance(parrot.slow_calls.start(sys.exit).exception(PATIENCE_S), Exception)
    parrot.trigger_configure()
    parrot.trigger_activate()
    parrot.broken = True
    parrot.go_on.set()
    assert asked(parrot)().message == "SystemExit: the job is broken"
    change = RosParameter("objects_file", value="unused").to_parameter_msg()
    request = SetParameters.Request(parameters=[change])
    (refused,) = asked(parrot, SetParameters, "~/set_parameters", request)().results
    assert (refused.successful, refused.reason) == (False, "SystemExit: the check is broken")
    assert not asked(parrot, ChangeState, "~/change_state")().success  # transition 0: none


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit])
def test_a_slow_callback_that_raises_is_answered_and_logged(parrot, monkeypatch, error):
    def broken(_request, _response):
        raise error("the callback is broken")

    lines = log_lines(parrot, monkeypatch)
    parrot.create_service(Trigger, "~/broken", broken)
    parrot.slow_calls.detach(["broken"])
    assert asked(parrot, Trigger, "~/broken")() == Trigger.Response()
    ((level, text),) = lines
    assert level == logging.ERROR
    assert f"{error.__name__}: the callback is broken" in text
    assert "Traceback" in text


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
    monkeypatch.setattr("sam6d_ros.apps.ros.objects.file.load_entry", broken)
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


def test_a_node_that_is_configured_again_gets_the_objects_in_force(tmp_path):
    build = shared(engine_double.build)
    spec = EngineSpec(cache_dir=tmp_path, role="segmentation", objects_file=tmp_path / "unused")
    one, other = Host(lambda: build(spec)), Host(lambda: build(replace(spec, role="pose")))
    for host in (one, other):
        host.load().result(PATIENCE_S)
    gone, *kept = one.objects.models
    one.change(ObjectChange.drop(gone)).result(PATIENCE_S)
    other.reload().result(PATIENCE_S)
    assert [*other.objects.models] == kept
    for host in (one, other):
        assert host.close(PATIENCE_S)
    assert gone in build(spec).objects
