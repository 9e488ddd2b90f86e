"""Heartbeats of other processes: missing, stuck, ended in order; restoration of their state."""

from itertools import pairwise

import pytest

from sam6d_ros.runtime.peers import (
    FORGET_AFTER_S,
    MAX_PEERS,
    MISSING_AFTER_LOADING_S,
    MISSING_AFTER_S,
    PERIOD_S,
    Beat,
    PeerWatch,
)
from sam6d_ros.runtime.restoration import FIRST_DELAY_S, LAST_DELAY_S, Restoration


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def present():
    return {"/a", "/b"}


@pytest.fixture
def watch(clock, present):
    return PeerWatch(present.__contains__, clock)


def wait(watch, clock, seconds):
    """Let time pass as a process does that runs; the last sentences."""
    end, problems = clock.now + seconds, []
    while clock.now < end:
        clock.now += PERIOD_S
        problems = watch.problems()
    return problems


def beat(name="/a", lifecycle="active", instance="1", **more):
    return Beat(name, instance, lifecycle, **more)


def test_a_silent_peer_is_missing_until_it_beats_again(watch, clock):
    watch.heard(beat())
    assert watch.problems() == []
    assert "/a has died or hangs" in wait(watch, clock, MISSING_AFTER_S)[0]
    watch.heard(beat(instance="2"))
    assert watch.problems() == []


def test_a_node_is_watched_however_many_names_without_a_node_beat(watch, clock):
    """Sixty-four invented names filled the table: the death of a node was not noticed."""
    for number in range(MAX_PEERS):
        watch.heard(beat(f"/invented{number}"))
    watch.heard(beat("/late"))
    watch.heard(beat())
    wait(watch, clock, MISSING_AFTER_S)
    assert any(text.startswith("/a has died") for text in watch.problems())


def test_a_loss_is_noticed_within_two_seconds():
    assert MISSING_AFTER_S + PERIOD_S < 2.0


def test_a_peer_that_ended_in_order_is_forgotten(watch, clock, present):
    watch.heard(beat())
    present.remove("/a")
    assert wait(watch, clock, 2 * MISSING_AFTER_S) == []


def test_a_dead_peer_stays_missing_when_dds_drops_it_and_is_forgotten_at_last(
    watch, clock, present
):
    watch.heard(beat())
    assert wait(watch, clock, MISSING_AFTER_S)
    present.remove("/a")
    assert wait(watch, clock, 60)
    assert wait(watch, clock, FORGET_AFTER_S) == []


def test_a_peer_that_loads_has_more_time(watch, clock):
    watch.heard(beat(lifecycle="configuring"))
    assert wait(watch, clock, MISSING_AFTER_LOADING_S / 2) == []
    assert wait(watch, clock, MISSING_AFTER_LOADING_S)


def test_a_process_that_was_halted_itself_accuses_no_other(watch, clock):
    watch.heard(beat())
    clock.now += 60
    assert watch.problems() == []


def test_a_stuck_peer_is_reported_with_its_reason(watch):
    watch.heard(beat(stuck="one frame takes long"))
    assert watch.problems() == ["/a is stuck: one frame takes long"]


def test_names_without_end_are_not_watched(watch):
    for number in range(3 * MAX_PEERS):
        watch.heard(beat(f"/n{number}", stuck="x"))
    assert len(watch.problems()) == MAX_PEERS


# --- restoration


@pytest.fixture
def restoration(clock):
    return Restoration(clock)


def test_a_node_that_starts_anew_is_brought_back_to_where_it_was(restoration, clock):
    assert restoration.observe(beat(lifecycle="active")) == ""
    assert restoration.observe(beat(lifecycle="unconfigured", instance="2")) == ""
    clock.now += FIRST_DELAY_S
    assert restoration.observe(beat(lifecycle="unconfigured", instance="2")) == "configure"
    assert restoration.observe(beat(lifecycle="configuring", instance="2")) == ""
    clock.now += FIRST_DELAY_S * 2
    assert restoration.observe(beat(lifecycle="inactive", instance="2")) == "activate"
    clock.now += FIRST_DELAY_S
    assert restoration.observe(beat(lifecycle="active", instance="2")) == ""


def test_an_inactive_node_is_only_configured_again(restoration, clock):
    restoration.observe(beat(lifecycle="inactive"))
    restoration.observe(beat(lifecycle="unconfigured", instance="2"))
    clock.now += FIRST_DELAY_S
    assert restoration.observe(beat(lifecycle="unconfigured", instance="2")) == "configure"
    clock.now += 60
    assert restoration.observe(beat(lifecycle="inactive", instance="2")) == ""


@pytest.mark.parametrize("lifecycle", ["unconfigured", "inactive", "finalized"])
def test_an_operator_is_not_overruled(restoration, clock, lifecycle):
    restoration.observe(beat(lifecycle="active"))
    for _ in range(5):
        clock.now += 60
        assert restoration.observe(beat(lifecycle=lifecycle)) == ""


def test_an_error_is_followed_by_another_start_with_growing_pauses(restoration, clock):
    restoration.observe(beat(lifecycle="active"))
    times = []
    while len(times) < 12:
        clock.now += 0.5
        if restoration.observe(beat(lifecycle="unconfigured", failed=True)):
            times.append(clock.now)
    pauses = [b - a for a, b in pairwise(times)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LAST_DELAY_S


def test_a_name_that_no_node_can_have_is_not_watched(watch):
    """Twenty megabytes of it were in the diagnostics of every node."""
    watch.heard(beat("/" + "x" * 1_000_000, stuck="y"))
    assert watch.problems() == []


def test_a_peer_that_is_being_configured_loads(watch):
    watch.heard(beat(lifecycle="active"))
    assert not watch.loading
    watch.heard(beat(lifecycle="configuring"))
    assert watch.loading
