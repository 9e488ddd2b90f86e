"""The nodes as managed nodes: transitions over the standard services, faults, restarts, ends."""

import os
import signal
from itertools import count

import pytest
import trimesh
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from std_msgs.msg import Bool
from std_srvs.srv import Trigger
from support.ros import probe as probe_module
from support.ros.probe import INPUT_REMAPPINGS, scene

from sam6d_ros.apps.ros.node.qos import LATCHED

POSES, MASKS, TF = "/pose_node/detections", "/segmentation_node/masks", "/tf"
BOTH = ("segmentation_node", "pose_node")
CONFIGURE, ACTIVATE = Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE
DEACTIVATE, CLEANUP = Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP
SHUTDOWN = {
    "unconfigured": Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
    "inactive": Transition.TRANSITION_INACTIVE_SHUTDOWN,
    "active": Transition.TRANSITION_ACTIVE_SHUTDOWN,
}


class Manager:
    """What a lifecycle manager does to one node."""

    def __init__(self, probe, node):
        self.probe, self.name = probe, f"/{node}"
        self.changes = probe.node.create_client(ChangeState, f"{self.name}/change_state")
        self.states = probe.node.create_client(GetState, f"{self.name}/get_state")
        self.ready = []
        probe.node.create_subscription(
            Bool, f"{self.name}/ready", lambda m: self.ready.append(m.data), LATCHED
        )
        probe.wait_for(
            lambda: self.changes.service_is_ready() and self.states.service_is_ready(),
            f"the services of {node}",
        )

    def call(self, client, request, what):
        future = client.call_async(request)
        self.probe.wait_for(future.done, what)
        return future.result()

    def change(self, transition):
        request = ChangeState.Request(transition=Transition(id=transition))
        return self.call(self.changes, request, f"transition {transition} of {self.name}").success

    def state(self):
        answer = self.call(self.states, GetState.Request(), f"the state of {self.name}")
        return answer.current_state.label

    def wait_state(self, label):
        self.probe.wait_for(lambda: self.state() == label, f"{self.name} to be {label}")

    def wait_ready(self, ready):
        self.probe.wait_for(lambda: self.ready[-1:] == [ready], f"{self.name}/ready {ready}")

    def wait_shown(self, **values):
        """Wait until the diagnostics show these values."""

        def shown():
            row = self.probe.diagnostics(self.name)
            return all(text in row.get(key, "") for key, text in values.items())

        self.probe.wait_for(shown, f"diagnostics of {self.name} with {values}")


def start(probe, node, name="", **parameters):
    """A node around the engine double, not waited for."""
    arguments = [*INPUT_REMAPPINGS, *(["-r", f"__node:={name}"] if name else [])]
    parameters = {"objects_file": "unused", **parameters}
    return probe.children.start(node, parameters, arguments, (str(probe_module.DOUBLE), node))


def results_from(probe, topic, stamps):
    """Send scenes, each with a stamp of its own, until a new result comes; its stamp."""
    known = len(probe.received[topic])
    first = next(stamps)

    def send():
        probe.send(probe.messages(*scene(), stamp_ns=next(stamps)))

    def came():
        return [m for m in probe.received[topic][known:] if m.header.stamp.sec * 10**9 > first]

    probe.wait_for(came, f"a result on {topic}", every=send)


@pytest.fixture
def stamps(probe):
    """Stamps, a second apart."""
    return count(probe.now_ns() // 10**9 * 10**9, 10**9)


def test_a_manager_takes_a_node_through_its_states_and_back(probe, stamps):
    probe.listen(MASKS, "/diagnostics")
    node = start(probe, "segmentation_node", autostart=False)
    manager = Manager(probe, "segmentation_node")
    assert manager.state() == "unconfigured"
    manager.wait_shown(lifecycle="unconfigured", state="unconfigured")
    assert not manager.change(ACTIVATE)
    for _ in range(2):  # what was cleaned up can be configured again
        assert manager.change(CONFIGURE)
        assert manager.state() == "inactive"
        manager.wait_shown(lifecycle="inactive", state="inactive")
        assert manager.ready[-1:] == [False]
        assert all(p.get_subscription_count() == 0 for p in probe.publishers)
        for _ in range(2):  # as can be activated what was deactivated
            assert manager.change(ACTIVATE)
            manager.wait_ready(True)
            results_from(probe, MASKS, stamps)
            manager.wait_shown(lifecycle="active", state="running")
            assert manager.change(DEACTIVATE)
            manager.wait_ready(False)
            probe.wait_for(
                lambda: all(p.get_subscription_count() == 0 for p in probe.publishers),
                "the topics to be closed",
            )
        assert manager.change(CLEANUP)
        manager.wait_shown(lifecycle="unconfigured")
    assert manager.change(SHUTDOWN["unconfigured"])
    assert manager.state() == "finalized"
    assert node.output().count("loaded: backend") == 2


def test_a_deactivated_pose_node_publishes_nothing_and_resumes(probe, stamps):
    probe.listen(MASKS, POSES, TF)
    probe.start_double(*BOTH)
    manager = Manager(probe, "pose_node")
    results_from(probe, POSES, stamps)
    assert manager.change(DEACTIVATE)
    manager.wait_ready(False)
    before_s = next(stamps) // 10**9
    for _ in range(3):  # the segmentation node goes on meanwhile
        results_from(probe, MASKS, stamps)
    headers = [m.header for m in probe.received[POSES]]
    headers += [t.header for m in probe.received[TF] for t in m.transforms]
    assert max(header.stamp.sec for header in headers) < before_s
    assert manager.change(ACTIVATE)
    results_from(probe, POSES, stamps)


def test_a_failed_configure_names_the_reason_and_can_be_mended(probe, tmp_path, stamps):
    objects = tmp_path / "objects.yaml"
    probe.listen(MASKS, "/diagnostics")
    node = start(probe, "segmentation_node", objects_file=objects)
    manager = Manager(probe, "segmentation_node")
    manager.wait_shown(state="loading failed", last_error="objects.yaml cannot be read")
    assert manager.state() == "unconfigured"
    assert manager.ready[-1:] == [False]
    assert not manager.change(CONFIGURE)
    box = trimesh.creation.box((0.1, 0.1, 0.1))
    box.visual.vertex_colors = [255, 0, 0, 255]
    box.export(tmp_path / "box.ply")
    objects.write_text("objects:\n- {name: box, mesh: box.ply, unit: m}\n")
    assert manager.change(CONFIGURE)
    assert manager.change(ACTIVATE)
    manager.wait_ready(True)
    results_from(probe, MASKS, stamps)
    manager.wait_shown(state="running", message="running")
    assert [i.class_id for i in probe.received[MASKS][-1].instances] == ["box"]
    assert "cannot be read" in node.output()


def test_a_node_answers_while_it_loads(asking):
    probe, load = asking.probe, asking.hold("load")
    start(probe, "pose_node")
    manager = Manager(probe, "pose_node")
    manager.wait_state("configuring")
    trigger = probe.node.create_client(Trigger, "/pose_node/trigger")
    probe.wait_for(trigger.service_is_ready, "the service")
    answer = trigger.call_async(Trigger.Request())
    probe.wait_for(answer.done, "the answer")
    assert "pose_node is configuring: wait for ~/ready" in answer.result().message
    for _ in range(2):
        probe.received["/diagnostics"].clear()
        manager.wait_shown(state="loading", lifecycle="configuring")
    assert not manager.change(CONFIGURE)  # one is enough
    probe.wait_for(load.reached, "the node to load")
    load.release()
    manager.wait_state("active")
    manager.wait_ready(True)


@pytest.mark.parametrize("victim", BOTH)
def test_one_node_is_killed_and_comes_back_while_the_other_goes_on(probe, victim, stamps):
    probe.listen(MASKS, POSES, "/diagnostics")
    children = dict(zip(BOTH, probe.start_double(*BOTH), strict=True))
    results_from(probe, POSES, stamps)
    dead = children[victim]
    os.killpg(dead._process.pid, signal.SIGKILL)
    probe.children.running.remove(dead)
    assert dead.wait() == -signal.SIGKILL
    if victim == "pose_node":
        results_from(probe, MASKS, stamps)
    else:
        probe.received["/diagnostics"].clear()
        Manager(probe, "pose_node").wait_shown(lifecycle="active")
    start(probe, victim)
    results_from(probe, POSES, stamps)


def test_ctrl_c_ends_a_node_well_in_every_state(asking):
    """The fixture checks the exit status and that there is no traceback."""
    probe = asking.probe
    states = ("unconfigured", "inactive", "active", "finalized")
    for name in states:
        start(probe, "pose_node", name, autostart=False)
    ways = {
        "inactive": [CONFIGURE],
        "active": [CONFIGURE, ACTIVATE],
        "finalized": [CONFIGURE, ACTIVATE, SHUTDOWN["active"]],
    }
    for name in states:
        manager = Manager(probe, name)
        for transition in ways.get(name, []):
            assert manager.change(transition)
        manager.wait_state(name)
    load = asking.hold("load")
    start(probe, "pose_node", "configuring")
    Manager(probe, "configuring").wait_state("configuring")
    probe.wait_for(load.reached, "the node to load")
    probe.children.stop()
    for child in probe.children.running:
        assert child.wait() == 0, child.output()
        assert "never retrieved" not in child.output(), child.output()
