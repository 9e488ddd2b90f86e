"""Requests to a host: order, deadline, cancellation, commit, overload, and errors of work."""

import threading
import time as system_time
from concurrent.futures import CancelledError

import pytest
from support.host_double import (
    PATIENCE_S,
    EngineDouble,
    Gate,
    ManualTime,
    Numbered,
    outcome,
    serving,
    settle,
)

from sam6d_ros.errors import (
    Cancelled,
    DeadlineExceeded,
    InvalidFrame,
    NotReady,
    Overloaded,
)
from sam6d_ros.runtime.host import Host
from sam6d_ros.runtime.request import Request
from sam6d_ros.runtime.states import State


@pytest.fixture
def time() -> ManualTime:
    return ManualTime()


@pytest.fixture
def host(time):
    made = Host(Numbered(), name="host", capacity=4, deadlines=time, clock=time.clock)
    serving(made)
    yield made
    made.close(PATIENCE_S)


def calling(value):
    return Request(lambda engine, ctx: engine.call(value))


def test_a_request_runs_in_the_compute_thread_with_the_engine(host):
    threads = []

    def work(engine: EngineDouble, ctx):
        threads.append(threading.current_thread().name)
        return engine.number

    assert [host.submit(Request(work)).result(PATIENCE_S) for _ in range(3)] == [1, 1, 1]
    assert {*threads} == {"host"}


def test_requests_are_done_in_the_order_of_their_arrival(host, gate):
    host.submit(Request(gate))
    gate.wait_entered()
    futures = [host.submit(calling(number)) for number in range(4)]
    gate.open()
    assert [future.result(PATIENCE_S) for future in futures] == [0, 1, 2, 3]
    calls = host.submit(Request(lambda engine, ctx: engine.calls)).result(PATIENCE_S)
    assert calls == [0, 1, 2, 3]


def test_a_full_queue_refuses_and_says_when_to_come_back(host, gate):
    host.submit(Request(gate))
    gate.wait_entered()
    waiting = [host.submit(calling(number)) for number in range(4)]
    error = outcome(host.submit(calling("too many")))
    assert isinstance(error, Overloaded)
    assert error.retry_after_s > 0
    assert (host.counts.waiting, host.counts.rejected) == (4, 1)
    gate.open()
    assert [outcome(future) for future in waiting] == [0, 1, 2, 3]


def test_a_deadline_that_passes_in_the_queue_answers_at_once(host, gate, time):
    host.submit(Request(gate))
    gate.wait_entered()
    late = host.submit(Request(lambda engine, ctx: "late", time.now + 2, clock=time.clock))
    assert not late.done()
    time.advance(3)
    assert late.done()  # the request in progress has not ended
    assert isinstance(outcome(late), DeadlineExceeded)
    assert host.counts.waiting == 0


def test_a_deadline_that_passes_during_work_answers_at_once_and_ends_the_work(host, gate, time):
    request = Request(gate, time.now + 2, clock=time.clock)
    future = host.submit(request)
    gate.wait_entered()
    time.advance(3)
    assert isinstance(future.exception(0), DeadlineExceeded)
    assert "first" in str(future.exception(0))
    gate.open()
    settle(host)
    assert request.stage == "first"  # the second stage never began


def test_a_deadline_in_the_past_never_enters_the_queue(host, time):
    done = host.submit(Request(lambda engine, ctx: "late", time.now - 1, clock=time.clock))
    assert isinstance(done.exception(0), DeadlineExceeded)


def test_the_timer_of_a_host_is_real_by_default():
    host = serving(Host(Numbered(), name="real"))
    gate = Gate()
    host.submit(Request(gate))
    gate.wait_entered()
    waiting = host.submit(Request(lambda engine, ctx: 1, system_time.monotonic() + 0.02))
    assert isinstance(outcome(waiting), DeadlineExceeded)
    gate.open()
    assert host.close(PATIENCE_S)


def test_a_request_cancelled_in_the_queue_is_answered_at_once_and_never_runs(host, gate):
    host.submit(Request(gate))
    gate.wait_entered()
    request = calling("cancelled")
    future = host.submit(request)
    assert request.cancel()
    assert isinstance(future.exception(0), Cancelled)
    assert host.counts.waiting == 0
    gate.open()
    assert host.submit(Request(lambda engine, ctx: engine.calls)).result(PATIENCE_S) == []


def test_a_request_cancelled_during_work_is_answered_at_once_and_ends_between_stages(host, gate):
    request = Request(gate)
    future = host.submit(request)
    gate.wait_entered()
    assert request.cancel()
    assert isinstance(future.exception(0), Cancelled)
    gate.open()
    settle(host)
    assert request.stage == "first"
    assert host.status.snapshot().state is not State.FAILED


def test_a_client_that_cancels_its_future_cancels_the_request(host, gate):
    request = Request(gate)
    future = host.submit(request)
    gate.wait_entered()
    assert future.cancel()
    with pytest.raises(Cancelled):
        request.check()
    with pytest.raises(CancelledError):
        future.result(0)
    gate.open()
    assert host.submit(calling("next")).result(PATIENCE_S) == "next"


def test_a_committed_request_is_answered_with_its_result(host, time):
    entered, released = threading.Event(), threading.Event()

    def work(engine, ctx):
        request.commit()
        entered.set()
        assert released.wait(PATIENCE_S)
        return "published"

    request = Request(work, time.now + 1, clock=time.clock)
    future = host.submit(request)
    assert entered.wait(PATIENCE_S)
    time.advance(2)
    assert not request.cancel()
    released.set()
    assert outcome(future) == "published"


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (InvalidFrame("no depth"), State.BAD_INPUT),
        (ZeroDivisionError("a defect"), State.FAILED),
        (SystemExit(), State.FAILED),
    ],
)
def test_a_stage_that_raises_leaves_the_host_serving(host, error, state):
    def work(engine, ctx):
        raise error

    assert outcome(host.submit(Request(work))) is error
    shown = host.status.snapshot()
    assert (shown.state, shown.figures.failed) == (state, 1)
    assert shown.last_error.startswith(type(error).__name__)
    assert host.submit(calling("next")).result(PATIENCE_S) == "next"
    assert host.status.snapshot().state is State.RUNNING


def test_the_times_and_the_reason_of_an_empty_result_are_recorded(host):
    def work(engine, ctx):
        with ctx.stage("propose"):
            return "nothing there"

    host.submit(Request(work, reason_of=str)).result(PATIENCE_S)
    shown = host.status.snapshot()
    assert shown.empty_reason == "nothing there"
    assert {*shown.figures.stages} == {"propose", "total"}


def test_a_request_to_a_host_that_does_not_serve_says_why():
    host = Host(Numbered(), name="mug finder")
    assert str(outcome(host.submit(calling(1)))) == "mug finder is not loaded"
    host.load().result(PATIENCE_S)
    error = outcome(host.submit(calling(1)))
    assert isinstance(error, NotReady)
    assert str(error) == "mug finder is not active"
    host.close(PATIENCE_S)
    assert str(outcome(host.submit(calling(1)))) == "mug finder is closed"
