"""Admission control: capacity, refusal, Retry-After, and the count of those that wait."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.host_double import ManualTime

from sam6d_ros.errors import NotReady, Overloaded
from sam6d_ros.runtime.admission import DEFAULT_RETRY_AFTER_S, Admission


def test_requests_beyond_the_capacity_are_refused_and_counted():
    admission = Admission("mug finder", 2)
    first, _ = admission.enter(), admission.enter()
    with pytest.raises(Overloaded, match="2 requests wait for mug finder"):
        admission.enter()
    assert (admission.waiting, admission.rejected) == (2, 1)
    assert first.begin()
    admission.enter()  # the one in progress does not wait
    assert admission.waiting == 2


def test_retry_after_is_the_mean_service_time_of_what_is_ahead():
    time = ManualTime()
    admission = Admission("engine", 2, time.clock)
    for seconds in (2.0, 4.0):
        place = admission.enter()
        place.begin()
        time.advance(seconds)
        place.finish()
    admission.enter().begin()
    admission.enter(), admission.enter()
    with pytest.raises(Overloaded) as refusal:
        admission.enter()
    assert refusal.value.retry_after_s == pytest.approx(3 * (2.0 + 4.0) / 2)


def test_retry_after_has_a_value_before_anything_was_measured():
    admission = Admission("engine", 1)
    admission.enter()
    with pytest.raises(Overloaded) as refusal:
        admission.enter()
    assert refusal.value.retry_after_s == DEFAULT_RETRY_AFTER_S


def test_a_closed_queue_gives_its_reason_until_it_is_opened():
    admission = Admission("mug finder", 2)
    admission.refuse("is loading")
    with pytest.raises(NotReady, match="mug finder is loading"):
        admission.enter()
    admission.open()
    admission.enter()
    assert admission.rejected == 0


def test_a_place_that_was_given_up_does_not_begin():
    admission = Admission("engine", 1)
    place = admission.enter()
    place.give_up()
    assert not place.begin()
    assert admission.wait_until_empty(0)


@given(st.lists(st.tuples(st.sampled_from(["begin", "give_up", "finish"]), st.integers(0, 3))))
def test_every_place_is_counted_once_whatever_is_called_in_which_order(calls):
    admission = Admission("engine", 4)
    places = [admission.enter() for _ in range(4)]
    for name, index in calls:
        getattr(places[index], name)()
    for place in places:
        place.begin()
        place.give_up()
        place.finish()
    assert (admission.waiting, admission._running) == (0, 0)
    assert admission.wait_until_empty(0)


def test_waiting_for_an_empty_queue_ends_with_the_last_request():
    admission = Admission("engine", 1)
    place = admission.enter()
    assert not admission.wait_until_empty(0)
    place.begin()
    assert not admission.wait_until_empty(0)
    emptied = []
    waiter = threading.Thread(target=lambda: emptied.append(admission.wait_until_empty(10)))
    waiter.start()
    place.finish()
    waiter.join()
    assert emptied == [True]


def test_a_queue_without_room_is_refused():
    with pytest.raises(ValueError, match="capacity is 0"):
        Admission("engine", 0)
