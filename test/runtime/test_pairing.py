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


INPUTS = ("rgb", "depth", "camera_info")
PERIOD_NS = 100_000_000


def watch_of_camera(clock, every):
    """A watch after 10 s of a camera of 10 Hz; an input delivers the ticks that ``every`` takes."""
    watch = PairingWatch(INPUTS, timeout_s=2.0, clock=clock)
    for tick in range(100):
        clock.now += 0.1
        for name in INPUTS:
            if every.get(name, lambda _: True)(tick):
                watch.saw(name, tick * PERIOD_NS)
    return watch


def test_images_that_are_lost_at_random_are_a_loss(clock):
    watch = watch_of_camera(clock, {"depth": lambda tick: tick in (3, 17, 30, 31, 70, 95)})
    assert watch.lost("camera_info") == "depth"
    assert watch.recent_counts()["depth"] == 6


def test_images_of_which_none_arrives_are_a_loss(clock):
    watch = watch_of_camera(clock, {"rgb": lambda _: False})
    assert watch.lost("camera_info") == "rgb"


def test_a_slower_camera_and_a_stopped_stream_lose_nothing(clock):
    """camera_info may come at another rate than the images."""
    slow = watch_of_camera(clock, {n: lambda tick: tick % 5 == 0 for n in ("rgb", "depth")})
    assert slow.lost("camera_info") == ""
    stopped = watch_of_camera(clock, {"depth": lambda tick: tick < 20})
    assert stopped.lost("camera_info") == ""
    assert watch_of_camera(clock, {"camera_info": lambda tick: tick == 0}).lost("camera_info") == ""


def test_a_camera_that_starts_late_is_not_late_itself(clock):
    watch = PairingWatch(("rgb", "depth"), timeout_s=2.0, clock=clock)
    clock.now += 60
    assert watch.silent() == ["rgb", "depth"]
    watch.saw("rgb", 0)
    assert watch.silent() == []
    watch.saw("depth", 500_000_000)
    assert watch.never_pairs(0.01) == ""
    assert watch.jam(1.0) == ""


def test_a_camera_that_goes_on_after_a_pause_gets_its_time_to_pair(clock):
    watch = watch_with(clock, 0)
    watch.paired()
    clock.now += 60
    watch.saw("rgb", 0)
    watch.saw("depth", 0)
    assert watch.never_pairs(0.01) == ""
    assert watch.jam(0.01) == ""


def test_an_input_of_which_one_message_is_enough_is_never_silent(clock):
    watch = PairingWatch(("rgb", "depth", "info"), timeout_s=2.0, clock=clock, once=("info",))
    watch.saw("rgb", 0)
    clock.now += 5.0
    assert watch.silent() == ["rgb", "depth", "info"], "none has come yet"
    watch.saw("info", 0)
    clock.now += 5.0
    assert watch.silent() == ["rgb", "depth"]
