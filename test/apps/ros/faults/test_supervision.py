"""Nodes that die, hang, are stuck or have a defect: reported by the others, and brought back."""

import os
import signal

import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from std_msgs.msg import Bool, Header
from support.ros.failing_double import DEFECT_STAMP_NS
from support.ros.held_double import Hold
from support.ros.world import MASKS

from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.node.qos import LATCHED

DOUBLE = "failing_double.py"
OTHERS = ("segmentation_node", "tracking_node")
STUCK_AFTER_S = 3.0


@pytest.fixture(scope="module")
def supervised(make_world, tmp_path_factory):
    """Three nodes and a supervisor; stages of the pose node can be held."""
    world = make_world()
    world.folder = tmp_path_factory.mktemp("held")
    world.tracebacks = "allowed"
    world.children.env["HELD_STAGES"] = str(world.folder)
    world.start_node("pose_node", DOUBLE, stuck_after_s=STUCK_AFTER_S)
    supervisor = world.children.start("supervisor_node", {})
    world.ready = []
    world.probe.node.create_subscription(
        Bool, "/pose_node/ready", lambda m: world.ready.append(m.data), LATCHED
    )
    world.start(*OTHERS)
    for node in world.nodes:
        world.probe.wait_for(
            lambda n=node: f"watching /{n}" in supervisor.output(),
            f"the supervisor to watch {node}",
        )
    return world


def wait_peer_problem(world, text):
    for node in OTHERS:
        world.probe.wait_for(
            lambda n=node: text in peer_problem(world, n), f"{node} to report {text!r}"
        )


def wait_no_peer_problem(world):
    for node in world.nodes:
        world.probe.wait_for(
            lambda n=node: peer_problem(world, n) == "", f"{node} to report no peer"
        )


def peer_problem(world, node):
    return world.probe.diagnostics(f"/{node}").get("peer_problem", "?")


def test_a_killed_node_is_reported_and_brought_back_when_it_is_started_again(supervised):
    """As by `respawn`, of a launch file whose nodes do not start by themselves."""
    supervised.kill("pose_node")
    wait_peer_problem(supervised, "/pose_node has died or hangs")
    supervised.start_node("pose_node", DOUBLE, autostart=False, stuck_after_s=STUCK_AFTER_S)
    supervised.poses_come(timeout_s=40.0)
    wait_no_peer_problem(supervised)


def test_a_halted_node_is_reported_until_it_goes_on(supervised):
    pid = supervised.nodes["pose_node"].pid
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_peer_problem(supervised, "/pose_node has died or hangs")
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_no_peer_problem(supervised)
    supervised.poses_come()


def test_a_defect_of_a_callback_leads_to_unconfigured_with_the_reason_and_back(supervised):
    known = len(supervised.probe.received["/diagnostics"])
    header = conversions.header_from(DEFECT_STAMP_NS, "camera")
    supervised.publish(f"{MASKS}/in_work", Header(stamp=header.stamp))

    def shown():
        rows = [
            {v.key: v.value for v in status.values}
            for message in supervised.probe.received["/diagnostics"][known:]
            for status in message.status
            if status.name == "/pose_node"
        ]
        return any(
            row["lifecycle"] == "unconfigured" and "a defect of a callback" in row["last_error"]
            for row in rows
        )

    supervised.probe.wait_for(shown, "the pose node to be unconfigured by the error")
    supervised.poses_come(timeout_s=40.0)


def test_a_stuck_node_says_so_is_not_ready_and_the_others_report_it(supervised):
    hold = Hold(supervised.folder, "estimate")
    supervised.probe.wait_for(hold.reached, "the stage", every=supervised.send_frame)
    supervised.wait_for_problem("pose_node", "more than 3 s (stuck_after_s)")
    assert supervised.probe.diagnostics("/pose_node")["state"] == "stuck"
    supervised.probe.wait_for(lambda: supervised.ready[-1:] == [False], "readiness false")
    wait_peer_problem(supervised, "/pose_node is stuck")
    hold.release()
    supervised.probe.wait_for(lambda: supervised.ready[-1:] == [True], "readiness true")
    supervised.poses_come()


def test_a_frame_beyond_its_deadline_is_dropped_with_the_reason(supervised):
    client = supervised.probe.node.create_client(SetParameters, "/pose_node/set_parameters")

    def set_timeout(seconds):
        value = Parameter("frame_timeout_s", value=seconds).to_parameter_msg()
        answer = client.call_async(SetParameters.Request(parameters=[value]))
        supervised.probe.wait_for(answer.done, "the parameter")
        assert answer.result().results[0].successful

    supervised.probe.wait_for(client.service_is_ready, "the service")
    set_timeout(1e-6)
    supervised.wait_for_problem(
        "pose_node", "one frame took more than 1e-06 s", every=supervised.send_frame
    )
    set_timeout(60.0)
    supervised.poses_come()


def test_a_stuck_process_ends_if_that_is_configured(supervised):
    child = supervised.nodes["pose_node"]
    supervised.children.running.remove(child)
    child.interrupt()
    assert child.wait() == 0
    hold = Hold(supervised.folder, "estimate")
    child = supervised.start_node("pose_node", DOUBLE, stuck_after_s=1.0, end_when_stuck=True)
    supervised.probe.wait_for(hold.reached, "the stage", every=supervised.send_frame)
    supervised.children.running.remove(child)
    assert child.wait() == 1
    assert "the process ends, to be started again" in child.output()
    hold.release()
    supervised.start_node("pose_node", DOUBLE)
    supervised.poses_come(timeout_s=40.0)
