"""Nodes of the test's own process that an executor spins in a thread."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

import rclpy
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import Trigger
from support.ros.probe import CAMERA, FRAME_ID, scene

from sam6d_ros.action import EstimatePoses
from sam6d_ros.apps.ros import conversions
from sam6d_ros.apps.ros.camera.input import CameraMessages

PATIENCE_S = 20.0


@contextmanager
def spun(*makers):
    """The node that a function makes, or the nodes of several; their executor runs meanwhile."""
    rclpy.init()
    nodes = [make() for make in makers]
    executor = SingleThreadedExecutor()
    for node in nodes:
        executor.add_node(node)
    ended = threading.Event()

    def spin():
        while not ended.is_set():
            executor.spin_once(timeout_sec=PATIENCE_S)

    spinning = threading.Thread(target=spin)
    spinning.start()
    try:
        yield nodes[0] if len(nodes) == 1 else nodes
    finally:
        for node in nodes:
            node.stop()
        ended.set()
        executor.wake()
        spinning.join(PATIENCE_S)
        executor.shutdown()  # after its last step, which uses what this destroys
        for node in nodes:
            node.destroy_node()
        rclpy.try_shutdown()


def asked(node, kind=Trigger, name="~/answer", request=None):
    """Call a service by a client of the node; returns a function that waits for the response."""
    client = node.create_client(kind, name, callback_group=node.service_group)
    assert client.wait_for_service(PATIENCE_S)
    return outcome(client.call_async(request or kind.Request()))


def estimated(node, **wanted):
    """Send a goal by a client of the pose node; returns its result."""
    client = ActionClient(
        node, EstimatePoses, "~/estimate_poses", callback_group=node.service_group
    )
    assert client.wait_for_server(PATIENCE_S)
    handle = outcome(client.send_goal_async(EstimatePoses.Goal(**wanted)))()
    result = outcome(handle.get_result_async())().result
    client.destroy()
    return result


def outcome(future):
    """Return a function that waits for the result of a future of the executor."""
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())

    def answer():
        assert done.wait(PATIENCE_S)
        return future.result()

    return answer


def await_that(condition, what):
    """Wait until a condition holds that the executor's thread or another brings about."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"no {what} after {PATIENCE_S} s"
        threading.Event().wait(0.01)


class Barrier:
    """Point of a function at which its thread waits for the test."""

    def __init__(self):
        self.reached, self.go_on = threading.Semaphore(0), threading.Event()

    def before(self, function):
        """The function, held before it begins."""

        def held(*args, **kwargs):
            self.reached.release()
            assert self.go_on.wait(PATIENCE_S)
            return function(*args, **kwargs)

        return held

    def await_reached(self):
        assert self.reached.acquire(timeout=PATIENCE_S)


def camera_messages(stamp_ns, colours=((255, 0, 0), (0, 255, 0))):
    """One frame with a square of each colour, as the camera input hands it on."""
    rgb, depth = scene(colours)
    header = conversions.header_from(stamp_ns, FRAME_ID)
    return CameraMessages(
        conversions.image_from_rgb(rgb, header),
        conversions.depth_image_from_metres(depth, header, "16UC1"),
        conversions.camera_info_from_intrinsics(CAMERA, header),
    )


def arguments(**parameters):
    """ROS arguments of a node around the engine double that waits for transitions."""
    given = {"objects_file": "unused", "autostart": "false", **parameters}
    pairs = [("-p", f"{name}:={value}") for name, value in given.items()]
    return ["--ros-args", *(text for pair in pairs for text in pair)]


def log_lines(node, monkeypatch):
    """The list of (level, text) that the node's status logs from now on."""
    lines = []
    monkeypatch.setattr(node.status, "_log", lambda *line: lines.append(line))
    return lines
