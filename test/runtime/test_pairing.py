"""Advice of the pairing watch on topics that do not pair."""

import pytest

from sam6d_ros.runtime.pairing import PairingWatch


def watch_with(clock, offset_ns, seconds=5):
    """A watch after some seconds of messages at 10 Hz, ``depth`` stamped later by an offset."""
    watch = PairingWatch(("rgb", "depth"), timeout_s=2.0, clock=clock)
    for tick in range(10 * seconds):
        clock.now += 0.1
        watch.saw("rgb", tick * 100_000_000)
        watch.saw("depth", tick * 100_000_000 + offset_ns)
    return watch


@pytest.mark.parametrize(
    ("offset_ms", "said"),
    [(30, "0.030 s apart (depth is later)"), (-40, "0.040 s apart (depth is earlier)")],
)
def test_the_watch_names_offset_direction_and_remedy(clock, offset_ms, said):
    problem = watch_with(clock, offset_ms * 1_000_000).never_pairs(slop_s=0.01)
    assert said in problem
    assert f"slop_s to at least {abs(offset_ms) * 1.1e-3:.3f}" in problem


def test_matching_stamps_that_do_not_pair_point_at_the_queue(clock):
    assert "queue_size" in watch_with(clock, 0).never_pairs(slop_s=0.01)


def test_pairs_and_patience_keep_the_watch_quiet(clock):
    watch = watch_with(clock, 30_000_000)
    watch.paired()
    assert watch.never_pairs(slop_s=0.01) == ""
    assert watch_with(clock, 30_000_000, seconds=1).never_pairs(slop_s=0.01) == ""


def test_a_silent_topic_is_silent_and_no_matter_of_pairing(clock):
    watch = watch_with(clock, 30_000_000)
    assert watch.silent() == []
    clock.now += 3
    watch.saw("rgb", 0)
    assert watch.silent() == ["depth"]
    assert watch.never_pairs(slop_s=0.01) == ""
