"""Record of results: the first line, changes, and the summary for diagnostics."""

import pytest

from sam6d_ros.runtime.results import CHANGES_EVERY_S, ResultRecord, Wording


@pytest.fixture
def lines():
    return []


@pytest.fixture
def record(lines, clock):
    return ResultRecord(lambda level, text: lines.append(text), clock)


def test_the_first_result_is_logged_with_its_age(record, lines):
    record.add({"mug_0": 0.714, "can_0": 0.6}, age_s=1.234)
    assert lines == ["first result, 1.23 s after its image: mug_0 0.71, can_0 0.60"]
    assert record.summary == "mug_0 0.71, can_0 0.60"
    assert record.found_s_ago == 0


@pytest.mark.parametrize("age_s", [float("nan"), 1.7e9, -1.7e9])
def test_an_age_by_another_clock_is_left_out(record, lines, age_s):
    record.add({}, age_s)
    assert lines == ["first result: no object"]


def test_changes_are_logged_rarely_and_none_is_missed(record, lines, clock):
    record.add({"mug_0": 0.7})
    for instances in ({"mug_0": 0.8}, {"can_0": 0.9}, {"can_0": 0.9, "pot_0": 0.6}):
        clock.now += 0.1
        record.add(instances)
    assert len(lines) == 1
    clock.now += CHANGES_EVERY_S
    record.add({"can_0": 0.85})
    assert lines[1:] == ["found: can_0 0.85; no longer found: mug_0"]
    clock.now += CHANGES_EVERY_S
    record.add({"can_0": 0.5})
    assert len(lines) == 2, "nothing has changed"


def test_a_tracker_has_words_of_its_own(record, lines, clock):
    record.wording = Wording("followed", "lost")
    record.add({})
    clock.now += CHANGES_EVERY_S
    record.add({"mug_1": 0.7})
    clock.now += CHANGES_EVERY_S
    record.add({})
    assert lines[1:] == ["followed: mug_1 0.70", "lost: mug_1"]


def test_the_time_since_an_object_was_found_goes_on_over_empty_results(record, clock):
    assert record.found_s_ago == float("inf")
    record.add({"mug_0": 0.7})
    clock.now += 3
    record.add({})
    assert (record.found_s_ago, record.summary) == (3, "")
    record.restart()
    assert record.found_s_ago == float("inf")
