"""Host of one model: batches of what waits, errors, deadlines, statistics, the end."""

from __future__ import annotations

import threading
from itertools import chain

import pytest
from support.host_double import ManualTime
from support.model_double import (
    DEFECT,
    GONE,
    PATIENCE_S,
    POISON,
    REFUSED,
    Openers,
    image,
    score_of,
    spec_of,
)

from sam6d_ros.errors import (
    BackendUnavailable,
    DeadlineExceeded,
    InvalidInput,
    NotReady,
    Overloaded,
)
from sam6d_ros.runtime.model_server.host import ModelHost, ModelState


@pytest.fixture
def openers():
    return Openers()


@pytest.fixture
def serving(openers):
    """Makes hosts that serve and end with the test."""
    made = []

    def make(**more):
        host = ModelHost(spec_of(**more), openers)
        made.append(host)
        host.load().result(PATIENCE_S)
        host.activate()
        return host

    yield make
    for host in made:
        host.shut(0.0, PATIENCE_S)


def blocked(host, openers):
    """Ask for one image whose call does not end before the gate is opened."""
    model = openers.last("double:a")
    model.entered.clear()
    model.gate.clear()
    future = host.ask(image(1))
    assert model.entered.wait(PATIENCE_S)
    return model, future


def error_of(future):
    return future.exception(PATIENCE_S)


def test_images_that_wait_share_a_call_and_get_their_own_answers(serving, openers):
    host = serving(max_batch=3)
    model, first = blocked(host, openers)
    futures = [host.ask(image(value)) for value in (2, 3, 4, 5)]
    model.gate.set()
    assert [score_of(f.result(PATIENCE_S)) for f in (first, *futures)] == [1, 2, 3, 4, 5]
    assert model.batches == [[1], [2, 3, 4], [5]]
    assert model.threads != {threading.get_ident()}
    assert len(model.threads) == 1


def test_the_model_limits_the_batch_below_the_spec(serving, openers):
    host = serving(max_batch=64)
    model, first = blocked(host, openers)
    futures = [host.ask(image(9)) for _ in range(10)]
    model.gate.set()
    for future in (first, *futures):
        future.result(PATIENCE_S)
    assert [len(batch) for batch in model.batches] == [1, 8, 2]


def test_an_error_of_one_image_is_that_of_its_request_alone(serving, openers):
    host = serving()
    model, first = blocked(host, openers)
    values = (2, REFUSED, POISON, DEFECT, 3)
    futures = [host.ask(image(value)) for value in values]
    model.gate.set()
    assert score_of(first.result(PATIENCE_S)) == 1
    errors = [error_of(future) for future in futures]
    assert [type(error) for error in errors] == [
        type(None),
        InvalidInput,
        InvalidInput,
        ZeroDivisionError,
        type(None),
    ]
    figures = host.stats.figures()
    assert (figures.images, figures.errors) == (3, 3)
    assert host.ask(image(7)).result(PATIENCE_S)


def test_an_error_of_the_model_shows_in_its_state_until_it_answers_again(serving, openers):
    host = serving()
    assert host.report().state is ModelState.READY
    assert isinstance(error_of(host.ask(image(GONE))), BackendUnavailable)
    report = host.report()
    assert report.state is ModelState.FAILED
    assert report.reason == "BackendUnavailable: gone"
    error_of(host.ask(image(REFUSED)))
    assert host.report().state is ModelState.READY  # the caller's matter
    assert host.report().reason == ""
    host.ask(image(1)).result(PATIENCE_S)
    assert host.report().state is ModelState.READY


def test_a_call_that_takes_too_long_shows_in_the_state_until_it_ends(openers):
    time = ManualTime()
    host = ModelHost(spec_of(timeout_s=5.0), openers, deadlines=time, clock=time.clock)
    host.load().result(PATIENCE_S)
    host.activate()
    model, first = blocked(host, openers)
    time.advance(4)
    assert host.report().state is ModelState.READY
    time.advance(3)
    report = host.report()
    assert report.state is ModelState.HANGS
    assert report.reason == "a call has taken 7 s; `timeout_s` is 5"
    assert isinstance(error_of(first), DeadlineExceeded)
    model.gate.set()
    host.warm_up(1).result(PATIENCE_S)
    assert host.report().state is ModelState.READY
    host.shut(0.0, PATIENCE_S)


def test_a_full_queue_refuses_and_counts(serving, openers):
    host = serving(capacity=2)
    model, first = blocked(host, openers)
    waiting = [host.ask(image(2)), host.ask(image(3))]
    assert isinstance(error_of(host.ask(image(4))), Overloaded)
    report = host.report()
    assert (report.waiting, report.rejected) == (2, 1)
    model.gate.set()
    for future in (first, *waiting):
        future.result(PATIENCE_S)
    assert [*chain(*model.batches)] == [1, 2, 3]  # the refused one is in no batch


def test_a_request_ends_at_its_deadline_and_a_cancelled_one_is_in_no_batch(serving, openers):
    host = serving(timeout_s=3600)
    model, first = blocked(host, openers)
    late = host.ask(image(2), timeout_s=0.001)
    cancelled = host.ask(image(3))
    last = host.ask(image(4))
    assert isinstance(error_of(late), DeadlineExceeded)
    assert cancelled.cancel()
    model.gate.set()
    assert [score_of(f.result(PATIENCE_S)) for f in (first, last)] == [1, 4]
    assert [*chain(*model.batches)] == [1, 4]


def test_answers_and_statistics_have_the_seconds_of_the_phases(serving, openers):
    host = serving(warm_up_runs=3)
    assert openers.last("double:a").warmed == 3
    answer = host.ask(image(1)).result(PATIENCE_S)
    assert set(answer.seconds) == {"queue", "inference"}
    assert answer.seconds["queue"] >= 0
    figures = host.stats.figures()
    assert (figures.images, figures.errors, figures.calls) == (1, 0, 1)
    assert figures.phases_s["inference"].count == 1


def test_without_metrics_images_are_counted_and_phases_are_not_measured(serving, openers):
    host = serving(metrics=False)
    assert set(host.ask(image(1)).result(PATIENCE_S).seconds) == {"queue"}
    figures = host.stats.figures()
    assert (figures.images, figures.phases_s) == (1, {})


def test_warm_up_takes_its_turn_and_needs_a_model(serving, openers):
    host = serving(warm_up_runs=0)
    assert host.warm_up(4).result(PATIENCE_S) >= 0
    assert openers.last("double:a").warmed == 4
    host.unload().result(PATIENCE_S)
    assert isinstance(error_of(host.warm_up(1)), NotReady)


def test_shutting_finishes_what_waits_frees_the_model_and_ends_the_thread(serving, openers):
    host = serving(max_batch=1)
    model, first = blocked(host, openers)
    second = host.ask(image(2))
    shut = []
    thread = threading.Thread(target=lambda: shut.append(host.shut(PATIENCE_S, PATIENCE_S)))
    thread.start()
    while not isinstance(error_of(host.ask(image(3))), NotReady):
        pass
    model.gate.set()
    thread.join(PATIENCE_S)
    assert shut == [True]
    assert [score_of(f.result(0)) for f in (first, second)] == [1, 2]
    assert model.closed == 1
    assert not host.loaded


def test_a_call_that_hangs_is_left_and_its_model_freed_when_it_ends(serving, openers):
    host = serving()
    model, first = blocked(host, openers)
    assert not host.shut(0.0, 0.01)
    assert isinstance(error_of(first), NotReady)
    assert model.closed == 0
    model.gate.set()
    assert host.join(PATIENCE_S)
    assert model.closed == 1


def test_a_load_that_is_not_wanted_any_more_frees_its_model(openers):
    openers.gates["double:a"] = gate = threading.Event()
    openers.entered["double:a"] = entered = threading.Event()
    host = ModelHost(spec_of(), openers)
    loading = host.load()
    assert entered.wait(PATIENCE_S)
    assert not host.shut(0.0, 0.01)
    assert isinstance(error_of(loading), NotReady)
    gate.set()
    assert host.join(PATIENCE_S)
    assert openers.last("double:a").closed == 1
    assert openers.last("double:a").warmed == 0


def test_a_model_that_cannot_warm_up_is_closed_and_not_loaded(openers):
    class Cold(Exception):
        pass

    def open_model(spec):
        model = openers(spec)
        model.warm_up = lambda: (_ for _ in ()).throw(Cold("no"))
        return model

    host = ModelHost(spec_of(), open_model)
    assert isinstance(error_of(host.load()), Cold)
    assert openers.last("double:a").closed == 1
    report = host.report()
    assert (report.state, report.reason) == (ModelState.LOAD_FAILED, "Cold: no")
    assert host.shut(0.0, PATIENCE_S)
