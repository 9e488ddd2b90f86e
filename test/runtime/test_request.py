"""Requests: cancel, commit, deadline and feedback, alone and in parts."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.host_double import ManualTime

from sam6d_ros.errors import Cancelled, DeadlineExceeded
from sam6d_ros.runtime.request import Request


def make(deadline=float("inf"), time=None, **more):
    return Request(lambda engine, ctx: None, deadline, clock=(time or ManualTime()).clock, **more)


def test_a_cancelled_request_names_its_stage():
    request = make()
    assert request.cancel()
    with pytest.raises(Cancelled, match="stage queue"):
        request.check()
    request.enter("score")
    with pytest.raises(Cancelled, match="stage score"):
        request.commit()


def test_an_expired_request_names_its_stage_and_the_timeout():
    time = ManualTime()
    request = make(time.now + 2.5, time)
    request.enter("refine")
    time.advance(2.4)
    request.check()
    time.advance(0.2)
    with pytest.raises(DeadlineExceeded, match=r"2\.5 s; stage in progress: refine"):
        request.check()


def test_a_committed_request_cannot_be_given_up():
    time = ManualTime()
    request = make(time.now + 1, time)
    request.commit()
    assert not request.cancel()
    time.advance(5)
    request.check()
    request.commit()


def test_the_context_checks_before_and_reports_each_stage():
    stages = []
    request = make(on_stage=stages.append)
    ctx = request.context()
    with ctx.stage("propose"):
        assert request.stage == "propose"
        request.cancel()
    with pytest.raises(Cancelled, match="stage propose"), ctx.stage("score"):
        pytest.fail("a stage began after the request was cancelled")
    assert stages == ["propose"]


def test_whoever_waits_gets_the_error_once():
    request, errors = make(), []
    forget = request.when_over(errors.append)
    request.when_over(errors.append)
    forget()
    request.cancel()
    request.cancel()
    request.expire()
    assert [type(error) for error in errors] == [Cancelled]
    request.when_over(errors.append)
    assert len(errors) == 2


def test_parts_share_all_but_the_work():
    time = ManualTime()
    request = make(time.now + 1, time, request_id="abc")
    part = request.part(lambda engine, ctx: 7)
    assert (part.work(None, None), part.id, part.deadline) == (7, "abc", request.deadline)
    part.enter("segment")
    assert request.stage == "segment"
    request.cancel()
    with pytest.raises(Cancelled):
        part.check()


def test_each_request_has_an_id_of_its_own():
    assert len({make().id for _ in range(100)}) == 100


@given(st.lists(st.sampled_from(["cancel", "commit", "later"]), max_size=8))
def test_a_request_is_committed_or_given_up_but_never_both(actions):
    time = ManualTime()
    request, ends = make(time.now + 2.5, time), []
    request.when_over(lambda error: ends.append("over"))
    for action in actions:
        if action == "later":
            time.advance(1)
        elif action == "cancel" and request.cancel():
            ends.append("cancel")
        elif action == "commit":
            try:
                request.commit()
                ends.append("commit")
            except (Cancelled, DeadlineExceeded):
                ends.append("refused")
        request.expire()
    assert not ("commit" in ends and {"cancel", "over", "refused"} & {*ends})
    assert ends.count("over") <= 1


def test_of_a_commit_and_cancels_in_other_threads_one_side_wins():
    for _ in range(50):
        request, wins = make(), []
        start = threading.Barrier(5)

        def cancel(request=request, wins=wins, start=start):
            start.wait()
            if request.cancel():
                wins.append("cancel")

        threads = [threading.Thread(target=cancel) for _ in range(4)]
        for thread in threads:
            thread.start()
        start.wait()
        try:
            request.commit()
            wins.append("commit")
        except Cancelled:
            pass
        for thread in threads:
            thread.join()
        assert {*wins} in ({"commit"}, {"cancel"})
