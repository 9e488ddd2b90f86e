"""How a process around nodes ends."""

import os
import signal
from collections.abc import Iterator

import pytest
import rclpy

from sam6d_ros.apps.ros import spin


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
