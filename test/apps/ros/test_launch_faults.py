"""Launch files that fail: nothing stays behind. And two cameras, started by two launch files."""

import os
import signal
import subprocess
import sys
import threading

import pytest

REASON = "`launch` comes with a ROS 2 distribution only; the package index has none"
pytest.importorskip("launch.actions", reason=REASON)  # our folder `launch` passes for a package
LIFE = f"""#!{sys.executable}
import os, pathlib, sys
from sam6d_ros.apps.ros.node import spin
from rclpy.node import Node

def node():
    pathlib.Path(__file__).with_suffix(f".{{os.getpid()}}").touch()
    return Node("alive")

sys.exit(spin.run([node]))
"""
WAIT_S = 30.0


@pytest.mark.parametrize(
    ("name", "arguments", "package"),
    [
        ("pipeline.launch.py", {"rviz": "true"}, "rviz2"),
        ("realsense.launch.py", {"driver": "true"}, "realsense2_camera"),
    ],
)
def test_a_package_that_is_missing_is_named_before_anything_starts(
    ground, name, arguments, package, caplog
):
    (ground.prefix / "share/ament_index/resource_index/packages/rviz2").unlink()
    assert not ground.run(name, **arguments)
    assert ground.status == 1
    assert f"needs the package {package}, which is not installed" in caplog.text


def test_nodes_end_with_a_launch_process_that_fails_after_their_start(ground):
    """The error of a file that is included after the pipeline, as of a camera driver."""
    program = ground.prefix / "lib/sam6d_ros/pose_node"
    program.write_text(LIFE)
    (ground.prefix / "lib/sam6d_ros/segmentation_node").write_text(LIFE)
    driver = ground.driver("realsense2_camera", "rs_launch.py").with_suffix(".py")
    driver.write_text("raise RuntimeError('this driver cannot be launched')")
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from pathlib import Path\n"
        "from support.ros.launched import Ground\n"
        "ground = Ground.__new__(Ground); ground.prefix = Path(sys.argv[2])\n"
        "ground.run('realsense.launch.py', driver='true')\n"
        "sys.exit(ground.status)"
    )
    folder = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    ended = subprocess.run([sys.executable, "-c", code, folder, str(ground.prefix)], timeout=WAIT_S)
    assert ended.returncode == 1
    for pid in started(program.parent):
        await_end(pid)


def started(folder):
    """Numbers of the processes that have noted themselves."""
    return [int(path.suffix[1:]) for path in folder.iterdir() if path.suffix[1:].isdigit()]


def await_end(pid):
    """Wait for the end of a process that is no child of this one."""
    end = threading.Event()
    for _ in range(int(WAIT_S / 0.05)):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        end.wait(0.05)
    os.kill(pid, signal.SIGKILL)
    raise AssertionError(f"process {pid} was still there {WAIT_S} s after the launch process")


def test_the_objects_of_two_cameras_have_tf_frames_of_their_own(ground):
    """By the namespace; an argument and the parameter file win over it."""
    for namespace, expected in (("left", "left/"), ("/cell/right/", "cell/right/")):
        started = ground.start("tracking.launch.py", namespace=namespace, grasps="true")
        for name in ("pose_node", "tracking_node", "grasp_node"):
            assert started[name].parameter("tf_prefix") == expected
    started = ground.start("pipeline.launch.py", namespace="left", tf_prefix="l_")
    assert started["pose_node"].parameter("tf_prefix") == "l_"
    started = ground.start("pipeline.launch.py", namespace="left", tf_prefix="")
    assert started["pose_node"].parameter("tf_prefix") == ""
    file = ground.prefix / "own.yaml"
    file.write_text("/**:\n  ros__parameters: {tf_prefix: mine/}\n")
    started = ground.start("pipeline.launch.py", namespace="left", params_file=str(file))
    assert started["pose_node"].parameter("tf_prefix") == "mine/"
    assert "tf_prefix" not in str(ground.start("pipeline.launch.py")["pose_node"].parameters)
