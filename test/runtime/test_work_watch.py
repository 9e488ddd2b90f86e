"""Work that takes too long, by its kind; a load is watched too."""

from support.clocks import Clock

from sam6d_ros.runtime.states import State
from sam6d_ros.runtime.status import HostStatus
from sam6d_ros.runtime.work_watch import WorkWatch


def test_work_is_stuck_after_its_limit_and_a_load_after_its_own():
    clock = Clock()
    watch = WorkWatch(stuck_after_s=2.0, load_stuck_after_s=10.0, clock=clock)
    with watch.working(loading=True):
        with watch.working(loading=False):
            assert watch.busy
            assert watch.stuck() == ""
            clock.now += 2.0
            assert watch.stuck().startswith("one piece of work has taken more than 2 s")
        assert watch.stuck() == ""
        clock.now += 8.0
        assert watch.stuck().startswith("loading has taken more than 10 s (load_stuck_after_s)")
    assert not watch.busy
    assert watch.stuck() == ""


def test_a_load_that_hangs_shows_as_stuck():
    clock = Clock()
    watch = WorkWatch(load_stuck_after_s=10.0, clock=clock)
    status = HostStatus("/node", clock=clock, watch=watch)
    with status.loading():
        assert status.snapshot().state is State.LOADING
        clock.now += 10.0
        shown = status.snapshot()
    assert shown.state is State.STUCK
    assert "load_stuck_after_s" in shown.last_error
    status.loaded("double", "cpu")
    assert status.snapshot().state is State.INACTIVE
