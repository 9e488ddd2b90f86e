"""How a process around nodes ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
import rclpy
from support.ros import engine_double
from support.ros.spun import arguments

from sam6d_ros.apps.ros.node import spin
from sam6d_ros.apps.ros.segmentation_node import SegmentationNode


@pytest.fixture(autouse=True)
def _own_ctrl_c() -> Iterator[None]:
    """A process of nodes leaves Ctrl-C to rclpy; this one does not."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def _executor_that_loses_its_wait_set(monkeypatch: pytest.MonkeyPatch, *, stopped: bool) -> None:
    def lose(self: object) -> None:
        if stopped:
            rclpy.shutdown()
        raise RuntimeError("failed to initialize wait set: the given context is not valid")

    monkeypatch.setattr(spin.SingleThreadedExecutor, "spin", lose)


def test_a_signal_in_the_middle_of_a_wait_is_a_clean_end(monkeypatch: pytest.MonkeyPatch) -> None:
    _executor_that_loses_its_wait_set(monkeypatch, stopped=True)
    assert spin.run([], []) == 0


def test_the_same_error_while_running_is_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    _executor_that_loses_its_wait_set(monkeypatch, stopped=False)
    with pytest.raises(RuntimeError, match="wait set"):
        spin.run([], [])
    assert not rclpy.ok()


def test_a_second_ctrl_c_does_not_break_the_end() -> None:
    destroyed = []

    class Node(rclpy.node.Node):
        def __init__(self) -> None:
            super().__init__("node")
            self._stop = self.create_guard_condition(lambda: os.kill(os.getpid(), signal.SIGINT))
            self._stop.trigger()

        def destroy_node(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            super().destroy_node()
            destroyed.append(self)

    assert spin.run([Node, Node], []) == 0
    assert len(destroyed) == 2


def test_all_nodes_of_a_process_are_stopped_before_one_is_waited_for() -> None:
    """Two nodes in the middle of a search together took twice as long to end as one."""
    events: list[str] = []

    class Recorded(SegmentationNode):
        def __init__(self) -> None:
            super().__init__(engine_double.build, arguments())
            self._over = self.create_guard_condition(lambda: os.kill(os.getpid(), signal.SIGINT))
            self._over.trigger()

        def stop(self) -> None:
            events.append("stop")
            super().stop()

        def destroy_node(self) -> None:
            events.append("destroy")
            super().destroy_node()

    assert spin.run([Recorded, Recorded], []) == 0
    assert events[:3] == ["stop", "stop", "destroy"]


ENDING = """
import atexit, threading
from sam6d_ros.apps.interrupts import end_process
threading.Thread(target=threading.Event().wait).start()
atexit.register(lambda: print("exit function"))
print("last words")
end_process(3)
"""


def test_the_end_of_a_process_waits_for_no_thread() -> None:
    """A stage in the middle of a search; output and exit functions are not lost."""
    command = [sys.executable, "-c", ENDING]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (3, "last words\nexit function\n"), done.stderr
