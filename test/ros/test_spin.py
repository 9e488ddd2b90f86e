"""How a process around nodes ends."""

import pytest
import rclpy

from sam6d_ros.apps.ros import spin


def _executor_that_loses_its_wait_set(monkeypatch: pytest.MonkeyPatch, *, stopped: bool) -> None:
    def lose(self: object) -> None:
        if stopped:
            rclpy.shutdown()
        raise spin.RCLError("failed to initialize wait set: the given context is not valid")

    monkeypatch.setattr(spin.SingleThreadedExecutor, "spin", lose)


def test_a_signal_in_the_middle_of_a_wait_is_a_clean_end(monkeypatch: pytest.MonkeyPatch) -> None:
    _executor_that_loses_its_wait_set(monkeypatch, stopped=True)
    assert spin.run([], []) == 0


def test_the_same_error_while_running_is_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    _executor_that_loses_its_wait_set(monkeypatch, stopped=False)
    with pytest.raises(spin.RCLError):
        spin.run([], [])
    assert not rclpy.ok()
