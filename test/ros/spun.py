"""Nodes of the test's own process that an executor spins in a thread."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import rclpy
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import Trigger

PATIENCE_S = 20.0


@contextmanager
def spun(make):
    """The node of a function; its executor runs until the end."""
    rclpy.init()
    node = make()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    spinning = threading.Thread(target=executor.spin)
    spinning.start()
    try:
        yield node
    finally:
        node.stop()
        executor.shutdown()
        spinning.join(PATIENCE_S)
        node.destroy_node()
        rclpy.try_shutdown()


def asked(node, kind=Trigger, name="~/say", request=None):
    """Call a service by a client of the node; returns a function that waits for the response."""
    done = threading.Event()
    client = node.create_client(kind, name, callback_group=node.service_group)
    assert client.wait_for_service(PATIENCE_S)
    future = client.call_async(request or kind.Request())
    future.add_done_callback(lambda _: done.set())

    def answer():
        assert done.wait(PATIENCE_S)
        return future.result()

    return answer


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
