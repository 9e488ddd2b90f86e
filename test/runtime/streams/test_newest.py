"""Slot of the newest value: laws that hold for any order of publishing and reading."""

from __future__ import annotations

import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from sam6d_ros.runtime.streams import Newest


@settings(deadline=None)
@given(st.lists(st.sampled_from(["publish", "read", "clear"])))
def test_a_viewer_gets_the_newest_value_once(steps):
    slot: Newest[int] = Newest()
    viewer, newest, seen, published = slot.subscribe(), None, 0, 0
    for step in steps:
        if step == "publish":
            published += 1
            newest = published
            slot.put(published)
        elif step == "clear":
            newest = None
            slot.clear()
        else:
            fresh = newest is not None and newest > seen
            assert viewer.poll() == (newest if fresh else None)
            seen = newest if fresh else seen


def test_values_that_were_replaced_are_counted():
    slot: Newest[str] = Newest()
    slot.put("before")
    viewer = slot.subscribe()
    assert viewer.poll() == "before"  # a new viewer need not wait
    for value in "abc":
        slot.put(value)
    assert viewer.next(1) == "c"
    assert viewer.missed == 2


def test_all_viewers_are_woken_by_a_value_and_by_the_end():
    slot: Newest[str] = Newest()
    found: list[list[str | None]] = [[] for _ in range(8)]
    subscribed, taken = threading.Barrier(9), threading.Barrier(9)

    def read(place: int) -> None:
        with slot.subscribe() as viewer:
            subscribed.wait()
            found[place].append(viewer.next(60))
            taken.wait()
            found[place].append(viewer.next(60))

    threads = [threading.Thread(target=read, args=(place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    subscribed.wait()
    slot.put("value")
    taken.wait()
    slot.close()
    for thread in threads:
        thread.join(60)
    assert found == [["value", None]] * 8
    assert slot.viewers == 0


def test_a_value_reaches_event_loops_by_a_call():
    slot: Newest[str] = Newest()
    calls: list[str] = []
    viewer = slot.subscribe(lambda: calls.append("woken"))
    slot.put("value")
    slot.close()
    assert calls == ["woken", "woken"]
    assert viewer.ended
    assert viewer.poll() is None


def test_waiting_for_a_viewer_ends_with_the_first_one():
    slot: Newest[str] = Newest()
    assert not slot.wait_for_viewer(0)
    waited: list[bool] = []
    thread = threading.Thread(target=lambda: waited.append(slot.wait_for_viewer(60)))
    thread.start()
    viewer = slot.subscribe()
    thread.join(60)
    assert waited == [True]
    viewer.close()
    assert not slot.wait_for_viewer(0)
    slot.close()
    assert not slot.wait_for_viewer(60)
