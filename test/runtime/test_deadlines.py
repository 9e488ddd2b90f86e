"""Timer thread: calls in the order of their times, in one thread, and none after ``stop``."""

import gc
import threading
import time
import weakref

import pytest
from support.host_double import PATIENCE_S, Numbered

from sam6d_ros.runtime.deadlines import MIN_FORGOTTEN, DeadlineThread
from sam6d_ros.runtime.host import Host


@pytest.fixture
def deadlines():
    made = DeadlineThread("test deadlines")
    yield made
    made.stop()


def test_calls_come_in_the_order_of_their_times_in_one_thread(deadlines):
    calls, done, now = [], threading.Event(), time.monotonic()

    def note(name):
        calls.append((name, threading.current_thread().name))
        if name == "last":
            done.set()

    for name, delay in (("last", 0.03), ("second", 0.02), ("first", 0.01), ("overdue", -1.0)):
        deadlines.call_at(now + delay, lambda name=name: note(name))
    assert done.wait(PATIENCE_S)
    assert [name for name, _ in calls] == ["overdue", "first", "second", "last"]
    assert {thread for _, thread in calls} == {"test deadlines"}


def test_a_prevented_call_does_not_come_and_a_broken_one_does_not_end_the_thread(deadlines, caplog):
    calls, done = [], threading.Event()
    when = time.monotonic() + 0.02
    prevent = deadlines.call_at(when, lambda: calls.append("prevented"))
    deadlines.call_at(when, lambda: 1 / 0)
    deadlines.call_at(when + 0.001, done.set)
    prevent()
    prevent()
    assert done.wait(PATIENCE_S)
    assert calls == []
    assert "a call at a deadline failed" in caplog.text


def test_prevented_calls_hold_nothing_and_do_not_pile_up(deadlines):
    class Held:
        def call(self):
            pytest.fail("a prevented call came")

    far, held = time.monotonic() + 3600, Held()
    alive = weakref.ref(held)
    prevent = deadlines.call_at(far, held.call)
    prevent()
    del held
    gc.collect()
    assert alive() is None
    for _ in range(10 * MIN_FORGOTTEN):
        deadlines.call_at(far, print)()
    assert len(deadlines._heap) <= MIN_FORGOTTEN + 1


def test_no_thread_is_made_before_the_first_call_or_after_stop():
    deadlines = DeadlineThread("test deadlines")
    assert deadlines._thread is None
    deadlines.call_at(time.monotonic() + 3600, print)
    thread = deadlines._thread
    deadlines.stop()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_a_call_that_was_made_is_forgotten(deadlines):
    class Held:
        pass

    held, done = Held(), threading.Event()
    alive = weakref.ref(held)
    deadlines.call_at(time.monotonic(), lambda held=held: None)
    deadlines.call_at(time.monotonic() + 3600, lambda: None)
    deadlines.call_at(time.monotonic() + 0.01, done.set)
    del held
    assert done.wait(PATIENCE_S)
    gc.collect()
    assert alive() is None


def test_a_timer_that_hosts_share_outlives_each_of_them():
    class Timer:
        stopped = False

        def call_at(self, when, callback):
            return lambda: None

        def stop(self):
            self.stopped = True

    timer = Timer()
    host = Host(Numbered(), name="host", deadlines=timer)
    assert host.close(PATIENCE_S)
    assert not timer.stopped
