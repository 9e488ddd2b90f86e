"""Errors at the edges of a host's life: listeners, freeing, loads, and the end of the thread."""

import threading
import weakref

import pytest
from support.host_double import PATIENCE_S, EngineDouble, Gate, Numbered, outcome, serving

from sam6d_ros.errors import NotReady
from sam6d_ros.runtime import resource_host
from sam6d_ros.runtime.host import Host
from sam6d_ros.runtime.objects import ObjectChange, ObjectSet
from sam6d_ros.runtime.request import Request
from sam6d_ros.runtime.resource_host import ResourceHost
from sam6d_ros.runtime.states import State
from sam6d_ros.runtime.warmup import box_model


def number_request():
    return Request(lambda engine, ctx: engine.number)


class Freed(ResourceHost[EngineDouble, None]):
    """Host whose resources raise when they are freed, as long as ``broken`` is set."""

    broken = True

    def _given_up(self, resource):
        if self.broken:
            raise ZeroDivisionError("cannot be freed")


@pytest.fixture
def build() -> Numbered:
    return Numbered()


@pytest.fixture
def freed(build):
    made = Freed(build, name="host")
    yield made
    made.close(PATIENCE_S)


def state(host) -> State:
    return host.status.snapshot().state


def test_a_change_stands_if_the_listener_of_objects_raises(build):
    def listen(objects):
        if objects.models:
            raise ZeroDivisionError("listener")

    host = serving(Host(build, name="host", on_objects=listen))
    box = box_model()
    changed = host.change(ObjectChange.add(box)).result(PATIENCE_S)
    assert changed == host.objects == ObjectSet({box.name: box})
    assert "listener" in host.status.snapshot().last_error
    assert outcome(host.submit(number_request())) == 1
    host.close(PATIENCE_S)


def test_an_unload_stands_if_the_listener_of_objects_raises(build):
    def listen(objects):
        if heard:
            raise ZeroDivisionError("listener")
        heard.append(objects)

    heard = []
    host = serving(Host(build, name="host", on_objects=listen))
    assert host.unload().result(PATIENCE_S) is None
    assert (host.loaded, state(host)) == (False, State.UNCONFIGURED)
    host.close(PATIENCE_S)


def test_a_host_whose_resource_cannot_be_freed_leaves_the_loading_phase(freed, build):
    serving(freed)
    assert isinstance(outcome(freed.reload()), ZeroDivisionError)
    assert (freed.loaded, state(freed)) == (False, State.LOAD_FAILED)
    assert "cannot be freed" in freed.readiness()
    assert outcome(serving(freed).submit(number_request())) == 2


def test_a_host_whose_resource_cannot_be_freed_is_unloaded(freed):
    serving(freed)
    assert isinstance(outcome(freed.unload()), ZeroDivisionError)
    assert (freed.loaded, state(freed)) == (False, State.UNCONFIGURED)
    assert outcome(serving(freed).submit(number_request())) == 2


def test_a_load_that_fails_twice_gives_its_first_error(freed):
    freed._taken = lambda resource: [][0]
    assert isinstance(outcome(freed.load()), IndexError)
    assert (freed.loaded, state(freed)) == (False, State.LOAD_FAILED)
    assert "IndexError" in freed.status.snapshot().last_error


def test_a_host_leaves_the_loading_phase_if_memory_cannot_be_given_back(build, monkeypatch):
    def raises():
        raise OSError("no C library")

    host = serving(Host(build, name="host"))
    with monkeypatch.context() as patched:
        patched.setattr(resource_host, "free_memory", raises)
        assert isinstance(outcome(host.reload()), OSError)
        assert "no C library" in str(outcome(host.submit(number_request())))
    assert outcome(serving(host).submit(number_request())) == 2
    host.close(PATIENCE_S)


def test_a_closed_host_has_freed_its_engine_after_the_work_in_progress(build):
    def listen(objects):
        heard.append(threading.current_thread().name)

    heard, gate = [], Gate()
    host = Host(build, lambda engine, item, ctx: item(engine, ctx), name="host", on_objects=listen)
    serving(host)
    host.offer(gate)
    gate.wait_entered()
    assert not host.close(0)
    assert host.loaded
    engine = weakref.ref(build.built.pop())
    gate.open()
    assert host.close(PATIENCE_S)
    assert not host.loaded
    assert engine() is None
    assert heard == ["host"] * 2
    assert state(host) is State.UNCONFIGURED
    assert host.objects == ObjectSet()


def test_a_host_closed_while_it_loads_frees_what_it_loaded(build):
    entered, released = threading.Event(), threading.Event()

    def slow():
        entered.set()
        assert released.wait(PATIENCE_S)
        return build()

    host = Host(slow, name="host")
    loading = host.load()
    assert entered.wait(PATIENCE_S)
    host.close()
    assert isinstance(outcome(loading), NotReady)
    released.set()
    assert host.close(PATIENCE_S)
    assert (len(build.built), host.loaded, state(host)) == (1, False, State.UNCONFIGURED)


def test_the_end_of_a_thread_survives_an_engine_that_cannot_be_freed(freed):
    serving(freed)
    assert freed.close(PATIENCE_S)
    assert (freed.loaded, state(freed)) == (False, State.UNCONFIGURED)
    assert "cannot be freed" in freed.status.snapshot().last_error
