"""Hosts that share an engine; work that is no frame; the source of all objects."""

import threading
from pathlib import Path

import pytest
from support.host_double import PATIENCE_S, EngineDouble, Gate, outcome, serving

from sam6d_ros.cad.object_entry import ObjectEntry
from sam6d_ros.errors import NotReady, Overloaded
from sam6d_ros.runtime import objects
from sam6d_ros.runtime.host import MAX_WAITING_CHANGES, Host
from sam6d_ros.runtime.objects import ObjectChange
from sam6d_ros.runtime.request import Request
from sam6d_ros.runtime.warmup import box_model


@pytest.fixture
def make_host():
    made = []

    def make(engine, **options):
        made.append(serving(Host(lambda: engine, name=f"host {len(made)}", **options)))
        return made[-1]

    yield make
    for host in made:
        host.close(PATIENCE_S)


def test_hosts_that_share_an_engine_take_turns(make_host):
    engine, turn, gate = EngineDouble(), threading.Lock(), Gate()
    one, other = make_host(engine, turn=turn), make_host(engine, turn=turn)
    in_progress = one.submit(Request(gate))
    gate.wait_entered()
    waiting = other.submit(Request(lambda shared, ctx: shared.call("other")))
    change = other.change(ObjectChange.add(box_model()))
    assert not turn.acquire(blocking=False)
    assert engine.calls == []
    assert not engine.objects
    gate.open()
    assert outcome(in_progress) == "through"
    assert outcome(waiting) == "other"
    assert [*outcome(change).models] == [*engine.objects]
    assert one.objects.models == {}
    assert [*outcome(one.change(ObjectChange())).models] == [*engine.objects]


def test_work_that_is_no_frame_is_not_counted_as_one(make_host):
    host = make_host(EngineDouble())
    outcome(host.submit(Request(lambda engine, ctx: 1, is_frame=False)))
    whole = Request(lambda engine, ctx: 1)
    outcome(host.submit(whole.part(lambda engine, ctx: 2, is_frame=False)))
    assert host.status.snapshot().figures.processed == 0
    outcome(host.submit(whole))
    assert host.status.snapshot().figures.processed == 1


def test_the_source_is_that_of_the_last_change_of_all_objects(make_host):
    seen = []
    host = make_host(EngineDouble(), on_objects=lambda objects: seen.append(objects.source))
    for change in (
        ObjectChange.only([box_model()], source="a.yaml"),
        ObjectChange.add(box_model()),
        ObjectChange.only([], source="b.yaml"),
    ):
        outcome(host.change(change))
    assert seen == ["", "a.yaml", "a.yaml", "b.yaml"]
    assert host.objects.source == "b.yaml"


def test_a_host_works_while_another_one_of_its_engine_onboards_an_object(make_host, monkeypatch):
    begun, released = threading.Event(), threading.Event()

    def load(entry, cache_dir):
        begun.set()
        assert released.wait(PATIENCE_S)
        return box_model()

    monkeypatch.setattr(objects, "load_entry", load)
    engine, turn = EngineDouble(), threading.Lock()
    one, other = make_host(engine, turn=turn), make_host(engine, turn=turn)
    entry = ObjectEntry(box_model().name, Path("/box.ply"))
    change = one.change(ObjectChange.add(entry))
    assert begun.wait(PATIENCE_S)
    try:
        assert outcome(other.submit(Request(lambda shared, ctx: shared.call("other")))) == "other"
        assert not engine.objects
    finally:
        released.set()
    assert [*outcome(change).models] == [*engine.objects] == [entry.name]


def test_changes_that_wait_are_bounded_and_their_places_are_given_back(make_host):
    host, gate = make_host(EngineDouble()), Gate()
    host.submit(Request(gate))
    gate.wait_entered()
    waiting = [host.change(ObjectChange()) for _ in range(MAX_WAITING_CHANGES)]
    error = outcome(host.change(ObjectChange()))
    assert isinstance(error, Overloaded)
    assert "the objects of host 0" in str(error)
    host.deactivate()
    assert all(isinstance(outcome(future), NotReady) for future in waiting)
    waiting = [host.change(ObjectChange()) for _ in range(MAX_WAITING_CHANGES)]
    gate.open()
    assert {outcome(future) for future in waiting} == {host.objects}
    assert outcome(host.change(ObjectChange())) == host.objects
