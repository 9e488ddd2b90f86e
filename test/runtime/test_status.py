"""Status of a host: its states, what they keep, and its log."""

import logging

import pytest

from sam6d_ros.errors import (
    Cancelled,
    InvalidFrame,
    InvariantError,
    NotReady,
    Overloaded,
    ResourceExhausted,
)
from sam6d_ros.runtime.states import State
from sam6d_ros.runtime.status import MAX_LOG_KEYS, STALE_AFTER_S, THROTTLE_S, HostStatus


class Scene:
    """A status with its clock and its log."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lines: list[tuple[int, str]] = []
        self.status = HostStatus("mug finder", self.note, lambda: self.now)

    def note(self, level: int, text: str) -> None:
        self.lines.append((level, text))

    @property
    def state(self) -> State:
        return self.status.snapshot().state

    @property
    def last_error(self) -> str:
        return self.status.snapshot().last_error


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def serving(scene) -> Scene:
    scene.status.loading()
    scene.status.loaded("geometric", "cpu")
    scene.status.activated()
    return scene


def test_the_life_of_an_engine_is_a_chain_of_states(scene):
    seen = [scene.state]
    for event in (
        scene.status.loading,
        lambda: scene.status.loaded("geometric", "cpu"),
        scene.status.activated,
        lambda: scene.status.processed({}),
        scene.status.draining,
        scene.status.deactivated,
        scene.status.released,
    ):
        event()
        seen.append(scene.state)
    assert [state.name for state in seen] == [
        *("UNCONFIGURED", "LOADING", "INACTIVE", "WAITING", "RUNNING"),
        *("DRAINING", "INACTIVE", "UNCONFIGURED"),
    ]


def test_the_backend_is_known_while_an_engine_is_loaded(serving):
    shown = serving.status.snapshot()
    assert (shown.backend, shown.device) == ("geometric", "cpu")
    serving.status.released()
    shown = serving.status.snapshot()
    assert (shown.backend, shown.device) == ("", "")


def test_a_failed_load_shows_until_the_next_one(scene):
    scene.status.loading()
    scene.status.load_failed(ResourceExhausted("no memory"))
    assert (scene.state, scene.last_error) == (State.LOAD_FAILED, "ResourceExhausted: no memory")
    assert scene.lines == [(logging.ERROR, "ResourceExhausted: no memory")]
    scene.status.loading()
    assert (scene.state, scene.last_error) == (State.LOADING, "")


def test_a_load_that_is_given_up_is_no_error_in_the_log(scene):
    scene.status.load_failed(NotReady("it was unloaded while it was loading"))
    assert [level for level, _ in scene.lines] == [logging.INFO]


def test_an_error_of_work_shows_until_a_frame_is_processed(serving):
    serving.status.failed(InvalidFrame("depth is empty"))
    assert (serving.state, serving.last_error) == (State.BAD_INPUT, "InvalidFrame: depth is empty")
    serving.status.failed(InvariantError("score is nan"))
    assert serving.state is State.FAILED
    serving.status.processed({"total": 0.1}, "no depth")
    shown = serving.status.snapshot()
    assert (shown.state, shown.last_error, shown.empty_reason) == (State.RUNNING, "", "no depth")
    assert (shown.figures.failed, shown.figures.processed) == (2, 1)


@pytest.mark.parametrize("error", [Cancelled("by the client"), Overloaded("full", 1.0)])
def test_a_request_given_up_is_no_failure(serving, error):
    serving.status.processed({})
    serving.status.failed(error)
    shown = serving.status.snapshot()
    assert (shown.state, shown.last_error, shown.figures.failed) == (State.RUNNING, "", 0)
    assert serving.lines == [(logging.INFO, f"{type(error).__name__}: {error}")]


@pytest.mark.parametrize("end", ["deactivated", "released", "draining"])
def test_late_work_does_not_revive_a_host(serving, end):
    getattr(serving.status, end)()
    before = serving.state
    serving.status.processed({})
    serving.status.failed(InvariantError("late"))
    assert serving.state is before


def test_a_host_without_work_waits_and_is_idle_on_demand(serving):
    serving.status.processed({})
    serving.now += STALE_AFTER_S - 0.1
    assert serving.state is State.RUNNING
    serving.now += 0.2
    assert serving.state is State.WAITING
    serving.status.serves_on_demand(True)
    assert serving.state is State.IDLE
    with serving.status.working(), serving.status.working():
        assert serving.state is State.RUNNING
    assert serving.state is State.IDLE


def test_an_input_problem_ends_with_the_input(serving):
    serving.status.input_problem("no image on /camera")
    assert serving.status.snapshot().input_problem == "no image on /camera"
    serving.status.deactivated()
    assert serving.status.snapshot().input_problem == ""


def test_only_a_defect_is_logged_with_its_traceback(serving):
    for error in (ZeroDivisionError("by zero"), InvalidFrame("no depth")):
        try:
            raise error
        except Exception as raised:
            serving.status.failed(raised)
    (level, defect), (other_level, other) = serving.lines
    assert (level, other_level) == (logging.ERROR, logging.WARNING)
    assert "Traceback" in defect
    assert "raise error" in defect
    assert other == "InvalidFrame: no depth"


def test_equal_lines_are_logged_at_most_once_per_period(serving):
    for _ in range(3):
        serving.status.failed(InvalidFrame("no depth"))
        serving.now += THROTTLE_S / 2
    assert len(serving.lines) == 2
    assert serving.status.snapshot().figures.failed == 3


def test_the_memory_of_logged_keys_is_bounded(serving):
    for number in range(2 * MAX_LOG_KEYS):
        serving.status.log(logging.INFO, "text", key=f"key {number}")
    assert len(serving.status._logged) == MAX_LOG_KEYS


def test_an_error_that_reaches_the_client_of_its_request_is_logged_once(serving):
    """The host logs it, and then the shell that answers the request."""
    error = InvalidFrame("no depth")
    serving.status.failed(error)
    serving.status.log_error(error, "request failed")
    assert serving.lines == [(logging.WARNING, "InvalidFrame: no depth")]
    serving.status.log_error(Cancelled("by the client"), "request failed")
    assert serving.lines[1:] == [(logging.INFO, "request failed: Cancelled: by the client")]
    assert serving.status.snapshot().figures.failed == 1


def test_texts_of_any_length_are_cut(scene: Scene) -> None:
    name = "x" * 1_000_000
    scene.status.failed(InvalidFrame(f"{name} is wrong"))
    scene.status.input_problem(name)
    scene.status.processed({}, reason=name)
    shown = scene.status.snapshot()
    scene.status.failed(InvalidFrame(f"{name} is wrong"))
    assert scene.last_error.startswith("InvalidFrame: xxx")
    assert scene.last_error.endswith("x is wrong")
    for text in (scene.last_error, shown.input_problem, shown.empty_reason):
        assert 0 < len(text) < 3000
    assert max(len(line) for _, line in scene.lines) < 30_000
