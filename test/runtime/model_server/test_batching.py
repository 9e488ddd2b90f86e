"""Micro-batching: who is done together, in which call, with which error."""

from __future__ import annotations

import threading
from itertools import chain

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from sam6d_ros.errors import BackendUnavailable
from sam6d_ros.runtime.model_server.batching import MicroBatcher

PATIENCE_S = 10.0


class Calls:
    """Doubles numbers; a negative one fails alone, 13 fails its call, at 66 the model is gone."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def __call__(self, items):
        self.batches.append(list(items))
        if 13 in items:
            raise ValueError("13")
        if 66 in items:
            raise BackendUnavailable("gone")
        return [ValueError(str(item)) if item < 0 else 2 * item for item in items]


def entered(batcher, items):
    entries = [batcher.arrive(item) for item in items]
    for entry in entries:
        batcher.enter(entry)
    return entries


def outcome(batcher, entry, run):
    try:
        return batcher.answer(entry, run)
    except Exception as error:
        return error


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(-5, 20), min_size=1, max_size=20), st.integers(1, 6))
def test_each_input_gets_its_own_result_whatever_its_batch(items, most):
    batcher, calls = MicroBatcher(most), Calls()
    for item, entry in zip(items, entered(batcher, items), strict=True):
        result = outcome(batcher, entry, calls)
        if item < 0 or item == 13:
            assert str(result) == str(item)
        else:
            assert result == 2 * item
    assert all(len(batch) <= most for batch in calls.batches)
    if 13 not in items:
        assert [len(batch) for batch in calls.batches] == [
            min(most, len(items) - start) for start in range(0, len(items), most)
        ]
        assert [*chain(*calls.batches)] == items


def test_a_call_that_fails_for_all_is_repeated_one_by_one_unless_the_model_is_gone():
    batcher, calls = MicroBatcher(4), Calls()
    first, bad, last = entered(batcher, [1, 13, 2])
    assert outcome(batcher, first, calls) == 2
    assert str(outcome(batcher, bad, calls)) == "13"
    assert outcome(batcher, last, calls) == 4
    assert calls.batches == [[1, 13, 2], [1], [13], [2]]
    calls.batches.clear()
    for entry in entered(batcher, [1, 66, 2]):
        assert isinstance(outcome(batcher, entry, calls), BackendUnavailable)
    assert calls.batches == [[1, 66, 2]]


def test_who_left_or_was_not_entered_is_in_no_batch():
    batcher, calls = MicroBatcher(8), Calls()
    first, left, third = entered(batcher, [1, 2, 3])
    batcher.arrive(4)
    batcher.leave(left)
    batcher.enter(left)  # too late
    assert outcome(batcher, first, calls) == 2
    assert outcome(batcher, third, calls) == 6
    assert calls.batches == [[1, 3]]


def test_an_input_waits_for_others_until_the_batch_is_full():
    batcher, calls, results = MicroBatcher(3, max_delay_s=PATIENCE_S), Calls(), []
    first, *_ = entered(batcher, [1])
    thread = threading.Thread(target=lambda: results.append(batcher.answer(first, calls)))
    thread.start()
    entered(batcher, [2, 3])
    thread.join(PATIENCE_S / 2)
    assert results == [2]
    assert calls.batches == [[1, 2, 3]]


def test_the_delay_counts_from_the_arrival():
    now = [0.0]
    batcher, calls = MicroBatcher(8, max_delay_s=1000.0, clock=lambda: now[0]), Calls()
    first, second = entered(batcher, [1, 2])
    now[0] = 1000.0
    assert batcher.answer(first, calls) == 2
    assert (first.waited_s, second.waited_s) == (1000.0, 1000.0)


def test_a_batch_of_none_or_a_negative_delay_is_refused():
    for most, delay_s in ((0, 0.0), (1, -1.0)):
        with pytest.raises(ValueError, match="max_batch is"):
            MicroBatcher(most, delay_s)
