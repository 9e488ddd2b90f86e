"""Life of a host: load, activate, deactivate, reload, unload, drain, close; items and objects."""

import threading
import weakref

import pytest
from support.host_double import PATIENCE_S, Gate, Numbered, outcome, serving, settle

from sam6d_ros.errors import CheckpointError, InvalidMesh, NotReady, UnknownName
from sam6d_ros.runtime.host import Host
from sam6d_ros.runtime.objects import ObjectChange, ObjectSet
from sam6d_ros.runtime.request import Request
from sam6d_ros.runtime.states import State
from sam6d_ros.runtime.warmup import box_model


def number_request():
    return Request(lambda engine, ctx: engine.number)


@pytest.fixture
def build() -> Numbered:
    return Numbered()


@pytest.fixture
def seen() -> list:
    return []


@pytest.fixture
def host(build, seen):
    def process(engine, item, ctx):
        if isinstance(item, Gate):
            return item(engine, ctx) and ""
        if isinstance(item, BaseException):
            raise item
        seen.append(item)
        return ""

    made = Host(build, process, name="host", capacity=8)
    yield made
    made.close(PATIENCE_S)


def state(host) -> State:
    return host.status.snapshot().state


def test_a_host_is_loaded_then_serves_then_is_unloaded(host):
    seen = [state(host)]
    host.load().result(PATIENCE_S)
    seen.append(state(host))
    host.activate()
    assert host.submit(number_request()).result(PATIENCE_S) == 1
    seen.append(state(host))
    host.deactivate()
    seen.append(state(host))
    host.unload().result(PATIENCE_S)
    seen.append(state(host))
    assert [shown.name for shown in seen] == [
        *("UNCONFIGURED", "INACTIVE", "RUNNING", "INACTIVE", "UNCONFIGURED"),
    ]
    assert not host.loaded


def test_a_failed_load_is_reported_once_and_can_be_repeated(host, build):
    build.error = CheckpointError("pem.pth is truncated")
    assert outcome(host.load()) is build.error
    assert state(host) is State.LOAD_FAILED
    assert "pem.pth is truncated" in str(outcome(host.submit(number_request())))
    with pytest.raises(NotReady):
        host.activate()
    build.error = None
    assert serving(host).submit(number_request()).result(PATIENCE_S) == 1


def test_an_error_in_the_listener_of_objects_fails_the_load(build):
    def listen(objects):
        if not fixed:
            raise ZeroDivisionError

    fixed = False
    host = Host(build, name="host", on_objects=listen)
    assert isinstance(outcome(host.load()), ZeroDivisionError)
    assert not host.loaded
    fixed = True
    serving(host)
    host.close(PATIENCE_S)


def test_what_an_unload_frees_is_freed_even_after_errors(host, build):
    serving(host)

    def breaks(engine, ctx):
        held = engine
        raise ZeroDivisionError(str(held.number))

    assert isinstance(outcome(host.submit(Request(breaks))), ZeroDivisionError)
    host.offer(ZeroDivisionError("item"))
    settle(host)
    engine = weakref.ref(build.built.pop())
    host.unload().result(PATIENCE_S)
    assert engine() is None


def test_a_reload_frees_the_engine_before_it_loads_the_next(host, build):
    serving(host)
    alive_at_build = []
    engine = weakref.ref(build.built.pop())
    real = host._build
    host._build = lambda: alive_at_build.append(engine()) or real()
    host.reload().result(PATIENCE_S)
    assert alive_at_build == [None]
    assert host.submit(number_request()).result(PATIENCE_S) == 2


def test_requests_before_a_reload_are_done_by_the_old_engine_and_later_ones_refused(host, gate):
    serving(host)
    host.submit(Request(gate))
    gate.wait_entered()
    before = host.submit(number_request())
    loading = host.reload()
    during = outcome(host.submit(number_request()))
    assert isinstance(during, NotReady)
    assert "loading" in str(during)
    gate.open()
    loading.result(PATIENCE_S)
    assert before.result(PATIENCE_S) == 1
    assert host.submit(number_request()).result(PATIENCE_S) == 2


def test_a_host_that_did_not_serve_does_not_serve_after_a_reload(host):
    host.load().result(PATIENCE_S)
    host.reload().result(PATIENCE_S)
    assert not host.active
    assert state(host) is State.INACTIVE


def test_a_deactivated_host_does_not_serve_after_a_reload_in_progress(host, build):
    serving(host)
    entered, released = threading.Event(), threading.Event()
    real = host._build

    def slow():
        entered.set()
        assert released.wait(PATIENCE_S)
        return real()

    host._build = slow
    loading = host.reload()
    assert entered.wait(PATIENCE_S)
    host.deactivate("the node was deactivated")
    assert str(outcome(loading)) == "the node was deactivated"
    released.set()
    settle(host)
    assert not host.active
    host.activate()
    assert host.submit(number_request()).result(PATIENCE_S) == 2


@pytest.mark.parametrize("end", ["deactivate", "unload", "close"])
def test_what_waits_or_runs_fails_with_the_reason_when_serving_ends(host, gate, end):
    serving(host)
    running = host.submit(Request(gate))
    gate.wait_entered()
    waiting = [host.submit(number_request()), host.change(ObjectChange())]
    if end == "close":
        host.close()
    else:
        getattr(host, end)("for a good reason")
    for future in (running, *waiting):
        assert isinstance(future.exception(0), NotReady)
        assert ("good reason" in str(future.exception(0))) is (end != "close")
    assert host.counts.waiting == 0


def test_late_work_of_a_deactivated_host_is_not_reported(host, gate):
    serving(host)
    host.submit(Request(gate))
    gate.wait_entered()
    host.deactivate()
    gate.open()
    settle(host)
    assert host.status.snapshot().figures.processed == 0
    assert state(host) is State.INACTIVE


def test_a_drained_host_finishes_what_waits_and_takes_nothing_new(host, gate):
    serving(host)
    running, waiting = host.submit(Request(gate)), host.submit(number_request())
    gate.wait_entered()
    drained = []
    drain = threading.Thread(target=lambda: drained.append(host.drain(PATIENCE_S)))
    drain.start()
    while host.active:
        pass
    refused = outcome(host.submit(number_request()))
    assert isinstance(refused, NotReady)
    assert "draining" in str(refused)
    gate.open()
    drain.join(PATIENCE_S)
    assert drained == [True]
    assert (running.result(0), waiting.result(0)) == ("through", 1)
    assert state(host) is State.DRAINING


def test_a_drain_out_of_time_fails_what_is_left(host, gate):
    serving(host)
    futures = [host.submit(Request(gate)), host.submit(number_request())]
    gate.wait_entered()
    assert not host.drain(0)
    assert all(isinstance(future.exception(0), NotReady) for future in futures)


def test_the_newest_item_is_processed_and_what_it_replaces_is_counted(host, seen, gate):
    assert not host.offer("not loaded")
    serving(host)
    assert host.offer(gate)
    gate.wait_entered()
    for item in (1, 2, 3):
        assert host.offer(item)
    gate.open()
    while not seen:
        settle(host)
    assert (seen, host.counts.dropped) == ([3], 2)


def test_items_while_loading_are_refused_and_counted(host, seen):
    serving(host)
    entered, released = threading.Event(), threading.Event()
    real = host._build
    host._build = lambda: (entered.set(), released.wait(PATIENCE_S)) and real()
    loading = host.load()
    assert entered.wait(PATIENCE_S)
    assert not host.offer("while loading")
    assert host.counts.refused == 1
    released.set()
    loading.result(PATIENCE_S)
    assert seen == []


@pytest.mark.parametrize("error", [ZeroDivisionError("item"), SystemExit()])
def test_an_item_that_breaks_leaves_the_host_serving(host, seen, error):
    serving(host)
    host.offer(error)
    while not host.status.snapshot().figures.failed:
        settle(host)
    assert state(host) is State.FAILED
    host.offer("next")
    while not seen:
        settle(host)
    assert state(host) is State.RUNNING


def test_objects_are_changed_between_requests_as_a_whole_or_not_at_all(host, gate):
    with pytest.raises(NotReady):
        host.change(ObjectChange()).result(PATIENCE_S)
    host.load().result(PATIENCE_S)  # also while inactive
    box = box_model()
    objects = host.change(ObjectChange.add(box)).result(PATIENCE_S)
    assert objects == host.objects == ObjectSet({box.name: box})
    error = outcome(host.change(ObjectChange(put=(box,), remove=("mug",))))
    assert isinstance(error, UnknownName)
    assert not isinstance(error, InvalidMesh)
    assert host.objects == objects


def test_the_listener_gets_the_objects_of_each_load_change_and_unload(build):
    heard = []
    host = Host(build, name="host", on_objects=lambda objects: heard.append([*objects.models]))
    host.load().result(PATIENCE_S)
    host.change(ObjectChange.add(box_model())).result(PATIENCE_S)
    host.unload().result(PATIENCE_S)
    host.close(PATIENCE_S)
    assert heard == [[], ["warm_up_box"], []]


def test_a_closed_host_has_no_thread_left_and_stays_closed(build):
    host = serving(Host(build, name="closing host"))
    assert host.close(PATIENCE_S)
    assert "closing host" not in {thread.name for thread in threading.enumerate()}
    assert isinstance(outcome(host.load()), NotReady)
    with pytest.raises(NotReady):
        host.activate()
    assert not host.offer("item")
