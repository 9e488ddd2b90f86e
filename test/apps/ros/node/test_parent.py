"""Node processes end with the process that started them."""

import os
import subprocess
import sys

from support.ros.probe import DOUBLE

from sam6d_ros.apps.ros.node.parent import VARIABLE

WAIT_S = 30.0
QUIET = "import sys; sys.stdin.read()"


def test_a_node_ends_well_when_the_process_that_it_belongs_to_is_killed(probe):
    parent = subprocess.Popen([sys.executable, "-c", QUIET], stdin=subprocess.PIPE)
    command = [sys.executable, str(DOUBLE), "pose_node", "--ros-args", "-p", "objects_file:=unused"]
    env = {**os.environ, **probe.children.env, VARIABLE: str(parent.pid)}
    node = subprocess.Popen(command, env=env)
    probe.wait_ready("pose_node")
    parent.kill()
    parent.wait()
    assert node.wait(WAIT_S) == 0


def test_a_node_whose_parent_has_ended_before_does_not_stay(probe):
    parent = subprocess.Popen([sys.executable, "-c", ""])
    parent.wait()
    command = [sys.executable, str(DOUBLE), "pose_node", "--ros-args", "-p", "objects_file:=unused"]
    env = {**os.environ, **probe.children.env, VARIABLE: str(parent.pid)}
    assert subprocess.Popen(command, env=env).wait(WAIT_S) == 0
